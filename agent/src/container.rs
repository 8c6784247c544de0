//! One container: created, used and destroyed by blocking calls, one at a time. Each call has a
//! file of its name.

pub mod adopt;
mod bind_mount;
mod cgroup_parents;
mod config;
mod confinement;
mod create;
mod destroy;
pub mod ending;
pub mod error;
mod execute;
mod execution;
pub mod facts;
mod held_up;
pub mod host_files;
pub mod host_ipc;
pub mod init_link;
mod init_priority;
mod lxc_cgroups;
mod lxc_config;
mod lxc_log;
mod lxc_start;
mod monitor;
pub mod options;
pub mod processes;
mod record;
pub mod recover;
pub mod refusals;
pub mod rootfs;
mod set_capabilities;
mod shared;
mod shared_memory;
mod signal;
mod state;
pub mod state_file;
pub mod statistics;
pub mod streams;
mod suspend;

use std::{collections::BTreeMap, os::fd::OwnedFd, path::Path, sync::Arc, time::Duration};

use softwarecontainer_capability::GatewaySettings;
use softwarecontainer_network::Network;

pub use cgroup_parents::Parents as CgroupParents;
pub use config::{ContainerConfig, ContainerLimits};
pub use error::ContainerError;
pub use execution::{Execution, Program};
pub use lxc_start::LxcPaths;
pub use shared::{Shared, lxc_name};
pub use state::{Reason, State, Status};

use crate::{
    gateway::{Gateways, Target},
    host::{
        app_user::AppUser,
        cgroup::{CpuQuota, Freezer},
        container_path::Owner,
        lxc_calls::LxcCalls,
        namespace::Namespaces,
    },
    mounts::{Mounts, Submounts, buffers::Buffers},
};
use confinement::Baseline;
use facts::Facts;
use host_ipc::HostIpc;
use init_link::InitLink;
use monitor::Monitor;
use rootfs::Rootfs;
use state_file::StateFile;

/// How long the container's init may take to answer.
const INIT_LIMIT: Duration = Duration::from_secs(10);
/// How long the kernel may take to freeze, thaw or end the processes of a container.
const KERNEL_LIMIT: Duration = Duration::from_secs(5);

/// A container that was created and not yet destroyed.
pub struct Container {
    id: i32,
    name: String,
    lxc: LxcCalls,
    init: u32,
    init_pidfd: Arc<OwnedFd>,
    monitor: Monitor,
    freezer: Freezer,
    cpu_quota: Option<CpuQuota>,
    link: InitLink,
    host_ipc: Option<HostIpc>,
    namespaces: Namespaces,
    rootfs: Rootfs,
    buffers: Option<Buffers>,
    submounts: Submounts,
    owner: Owner,
    user: AppUser,
    /// To whom the files belong that apps make in mounts, if the launcher has said so: user and
    /// group of the host.
    file_owner: Option<(u32, u32)>,
    state: State,
    state_file: Arc<StateFile>,
    /// The next agent can go on with it.
    is_kept: bool,
    settings: GatewaySettings,
    baseline: Baseline,
    gateways: Gateways,
    network: Arc<Network>,
    /// The process that has set its capabilities last.
    launcher: Option<u32>,
    /// Variables of every process.
    environment: BTreeMap<String, String>,
    facts: Arc<Facts>,
    shared: Arc<Shared>,
}

impl Container {
    /// Its LXC name, and LXC's path as its monitor knows it.
    pub fn lxc_name(&self) -> (&str, &Path) {
        (&self.name, self.lxc.path())
    }

    /// What is told of it.
    pub fn facts(&self) -> &Arc<Facts> {
        &self.facts
    }

    fn mounts(&self) -> Mounts<'_> {
        Mounts {
            id: self.id,
            namespaces: &self.namespaces,
            owner: self.owner,
            user: self.user,
            buffers: self.buffers.as_ref(),
            paths: &self.shared.paths,
            submounts: &self.submounts,
            watch: &self.shared.watch,
        }
    }

    fn target(&self) -> Target<'_> {
        let mounts = self.mounts();
        Target {
            id: self.id,
            name: &self.name,
            app: &self.facts.label.app,
            init: self.init,
            launcher: self.launcher,
            namespaces: mounts.namespaces,
            mounts,
            gateways: self.rootfs.gateways(),
            devices: self.rootfs.devices(),
            user: self.user,
            lxc: &self.lxc,
            network: &self.network,
            watch: &self.shared.watch,
            own_cgroups: &self.shared.own_cgroups,
            helpers: self.shared.helpers(&self.name),
            filters: &self.shared.filters,
            refused: self.facts.hears_of_refusals(),
            config: &self.shared.config.gateways,
        }
    }

    /// Whether apps ran in it, and none does any more.
    pub fn has_ended(&self) -> bool {
        self.link.processes().have_ended()
    }

    /// Checks that it is neither suspended nor invalid, and has not ended by itself.
    ///
    /// # Errors
    /// [`ContainerError`] with `action`.
    pub fn require_ready(&self, action: &'static str) -> Result<(), ContainerError> {
        match self.state {
            State::Ready if self.link.is_gone() => Err(ContainerError::Gone { id: self.id }),
            State::Ready => Ok(()),
            state => Err(ContainerError::State {
                id: self.id,
                action,
                state,
            }),
        }
    }
}
