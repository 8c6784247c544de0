//! What the agent's configuration says of containers.

use std::{path::PathBuf, time::Duration};

use super::host_files;
use crate::{
    gateway::GatewaysConfig,
    host::{apparmor::AppArmor, cgroup::Totals, user_namespace::UserNamespace},
};

/// What tells of the host or changes it. (`/proc/sys` and `/proc/sysrq-trigger` are read-only.)
const MASKED_PATHS: [&str; 19] = [
    "/proc/acpi",
    "/proc/bus",
    "/proc/cmdline",
    "/proc/config.gz",
    "/proc/diskstats",
    "/proc/fs",
    "/proc/interrupts",
    "/proc/iomem",
    "/proc/irq",
    "/proc/kcore",
    "/proc/key-users",
    "/proc/keys",
    "/proc/kmsg",
    "/proc/latency_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/proc/timer_list",
    "/sys/class/block",
    "/sys/firmware",
];

/// What the agent's configuration says of containers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContainerConfig {
    /// How long a container may take to end before it is stopped by force; whole seconds.
    pub shutdown_timeout: Duration,
    /// Absolute path of the directory that holds a directory `SC-<id>` for each container; need not
    /// exist.
    pub shared_mounts_dir: PathBuf,
    /// File with more LXC settings for every container. While the configuration is read, `None`
    /// stands for the default place and an empty path for no file.
    pub extra_lxc_config: Option<PathBuf>,
    /// Absolute path where LXC keeps its containers; `None` for LXC's own default.
    pub lxc_path: Option<PathBuf>,
    /// Whether containers get a user namespace.
    pub user_namespace: UserNamespace,
    /// The AppArmor profile that containers are under.
    pub apparmor: AppArmor,
    /// Whether Landlock keeps apps from what nothing in a container does, where the kernel has it.
    pub landlock: bool,
    /// Files and directories that are empty in containers; absolute paths of the container.
    pub masked_paths: Vec<PathBuf>,
    /// Files and directories in the host's `/etc` that containers see; absolute paths.
    pub host_files: Vec<PathBuf>,
    /// How much of everything a container may have.
    pub limits: ContainerLimits,
    /// What all containers together may have of the machine.
    pub totals: Totals,
    /// Whether `Suspend` takes a container's memory.
    pub reclaim_when_suspended: bool,
    /// What gateways are told.
    pub gateways: GatewaysConfig,
}

/// Bounds that keep a wrong launcher or a hostile app from using up the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ContainerLimits {
    /// Processes and threads in a container, its init included.
    pub processes: u32,
    /// Percent of the machine's memory that a container may have where no manifest says otherwise;
    /// 0 for no bound.
    pub memory_share: u32,
    /// What is added to the badness of its processes when memory is short, see
    /// proc_pid_oom_score_adj(5).
    pub oom_score_adjust: u32,
    /// Whether the kernel kills all of a container when it kills a process of it for memory.
    pub oom_group: bool,
    /// File descriptors of one process in a container.
    pub open_files: u32,
    /// Bytes of all variables of one `Execute`, those of gateways included.
    pub environment_size: u32,
    /// Bytes of a command line.
    pub command_length: u32,
    /// Bytes of a container's root tree and write buffers together, if `Create` does not say.
    pub root_tree_size: u64,
    /// Bytes of a container's `/dev`; `None` for what liblxc makes it.
    pub dev_size: Option<u64>,
    /// Bytes of a container's `/dev/shm`.
    pub shm_size: u64,
}

impl Default for ContainerConfig {
    fn default() -> Self {
        Self {
            shutdown_timeout: Duration::from_secs(1),
            shared_mounts_dir: PathBuf::from("/tmp/container/"),
            extra_lxc_config: None,
            lxc_path: None,
            user_namespace: UserNamespace::Auto,
            apparmor: AppArmor::Auto,
            landlock: true,
            masked_paths: MASKED_PATHS.iter().map(PathBuf::from).collect(),
            host_files: host_files::DEFAULT.iter().map(PathBuf::from).collect(),
            limits: ContainerLimits::default(),
            totals: Totals::default(),
            reclaim_when_suspended: false,
            gateways: GatewaysConfig::default(),
        }
    }
}

impl Default for ContainerLimits {
    fn default() -> Self {
        Self {
            processes: 1024,
            memory_share: 50,
            oom_score_adjust: 500,
            oom_group: true,
            open_files: 4096,
            environment_size: 256 << 10,
            command_length: 64 << 10,
            root_tree_size: 100 << 20,
            dev_size: None,
            shm_size: 64 << 20,
        }
    }
}
