//! What all containers share.

use std::{path::PathBuf, sync::Arc};

use smol::Executor;
use softwarecontainer_network::LateNetwork;

use super::{
    cgroup_parents::Parents, config::ContainerConfig, error::ContainerError, facts::Event,
    host_files::HostFiles, lxc_cgroups, lxc_start::LxcPaths, processes::Report, rootfs::Template,
};
use crate::{
    host::{
        cgroup::{HelperCgroups, OwnCgroups},
        descriptor_store::DescriptorStore,
        kernel,
        process_limits::AppLimit,
        seccomp::Filters,
        user_namespace::{self, FIRST_ID, ID_RANGE},
        watch::HostWatch,
    },
    mounts::{HostPaths, unwritten::Unwritten},
};

/// What all containers share.
#[derive(Debug)]
pub struct Shared {
    /// What the agent's configuration says of containers.
    pub config: ContainerConfig,
    /// The shared part of the root tree.
    pub template: Template,
    /// Files of the host that every container sees.
    pub host_files: HostFiles,
    /// The bridge and what goes with it.
    pub network: LateNetwork,
    /// Tells when something on the host was made anew or removed.
    pub watch: Arc<HostWatch>,
    /// Where LXC keeps its containers.
    pub lxc: LxcPaths,
    /// Below which cgroups those of containers are.
    pub cgroup_parents: Parents,
    /// The cgroups that the agent belongs to.
    pub own_cgroups: Arc<OwnCgroups>,
    /// Whether the host has the unified cgroup hierarchy only.
    pub unified_cgroups: bool,
    /// Who keeps connections for the next agent.
    pub store: Arc<DescriptorStore>,
    /// Why containers cannot have user namespaces, if so.
    pub no_user_namespaces: Option<String>,
    /// What decides on the host paths that apps are given.
    pub paths: HostPaths,
    /// The seccomp profile that LXC loads for every container.
    pub seccomp_profile: Option<PathBuf>,
    /// What the kernel lacks.
    pub kernel_lacks: Vec<kernel::Lack>,
    /// The host directories with write buffers that could not be written.
    pub unwritten: Arc<Unwritten>,
    /// The filters on system calls of processes.
    pub filters: Filters,
    /// Limits of processes that manifests may raise.
    pub app_limits: Vec<AppLimit>,
    /// The agent's executor.
    pub executor: Arc<Executor<'static>>,
    /// Where ends of processes are reported.
    pub reports: smol::channel::Sender<Report>,
    /// Where is told what happens to containers.
    pub events: smol::channel::Sender<Event>,
}

/// The LXC name of container `id`.
pub fn lxc_name(id: i32) -> String {
    format!("SC-{id}")
}

impl Shared {
    /// The cgroups of the helper processes of the container with LXC name `name`.
    pub(super) fn helpers(&self, name: &str) -> HelperCgroups {
        let parents = self.cgroup_parents.bounded();
        HelperCgroups::new(
            self.own_cgroups.clone(),
            parents,
            lxc_cgroups::of_helpers(name),
        )
    }

    /// The first host ID of container `id`, `None` if it is to have no user namespace.
    pub(super) fn id_base(&self, id: i32) -> Result<Option<u32>, ContainerError> {
        let obstacle = self.no_user_namespaces.as_deref();
        if !user_namespace::decide(self.config.user_namespace, obstacle)? {
            return Ok(None);
        }
        let id = u32::try_from(id).ok();
        Ok(id.and_then(|id| id.checked_mul(ID_RANGE)?.checked_add(FIRST_ID)))
    }
}
