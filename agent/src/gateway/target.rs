//! What a gateway may use of a running container.

use std::{path::PathBuf, sync::Arc};

use softwarecontainer_network::Network;

use super::{config::GatewaysConfig, refused::Refused};
use crate::{
    host::{
        app_user::AppUser,
        cgroup::{HelperCgroups, OwnCgroups},
        lxc_calls::LxcCalls,
        namespace::Namespaces,
        seccomp::Filters,
        watch::HostWatch,
    },
    mounts::Mounts,
};

/// A running container, as a gateway sees it.
#[derive(Debug)]
pub struct Target<'a> {
    /// The container's ID.
    pub id: i32,
    /// Its LXC name.
    pub name: &'a str,
    /// The app that it is for, as its launcher says; empty where that does not say.
    pub app: &'a str,
    /// The process ID of its init on the host.
    pub init: u32,
    /// The process whose call this is for, if it is known. It waits for the answer.
    pub launcher: Option<u32>,
    /// Its namespaces.
    pub namespaces: &'a Namespaces,
    /// Its mounts.
    pub mounts: Mounts<'a>,
    /// The host's side of `/gateways`.
    pub gateways: PathBuf,
    /// A host directory for device nodes, on a file system where they work.
    pub devices: PathBuf,
    /// The user that its apps are.
    pub user: AppUser,
    /// Its LXC handle.
    pub lxc: &'a LxcCalls,
    /// The network of all containers.
    pub network: &'a Network,
    /// Tells when something on the host was made anew or removed.
    pub watch: &'a Arc<HostWatch>,
    /// The cgroups in which processes start that stay outside the container.
    pub own_cgroups: &'a Arc<OwnCgroups>,
    /// The cgroups of processes that do for the container's apps what these ask for.
    pub helpers: HelperCgroups,
    /// The filters on system calls of processes.
    pub filters: &'a Filters,
    /// Told what an app wanted and did not get.
    pub refused: Refused,
    /// What the agent's configuration says to gateways.
    pub config: &'a GatewaysConfig,
}
