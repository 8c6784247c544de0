//! Why a container's cgroup is not as its capabilities say.

use softwarecontainer_network::NetworkError;

use crate::host::cgroup::CgroupError;

/// Why a container's cgroup is not as its capabilities say.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CgroupsGatewayError {
    /// The settings do not go together.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// A file of the cgroup.
    #[error(transparent)]
    Cgroup(#[from] CgroupError),
    /// LXC did not take a device rule.
    #[error("cannot write {rule:?} to {setting}")]
    Device {
        /// `devices.allow` or `devices.deny`.
        setting: &'static str,
        /// The rule.
        rule: String,
        /// Why.
        source: softwarecontainer_lxc::Error,
    },
    /// The container's packets cannot be classified.
    #[error("cannot classify the container's packets")]
    Class(#[source] NetworkError),
}

/// Settings that contradict one another, or that this host cannot have.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PlanError {
    /// `memory.memsw.limit_in_bytes` is below `memory.limit_in_bytes`, or that one is missing.
    #[error(
        "memory.memsw.limit_in_bytes limits memory and swap together: it needs a \
         memory.limit_in_bytes that is not larger"
    )]
    SwapWithoutMemory,
    /// `cpu.cfs_quota_us` or `cpu.cfs_period_us` is not a number.
    #[error("{setting}: {value:?} is not a number")]
    NotANumber {
        /// The setting.
        setting: String,
        /// Its value.
        value: String,
    },
}
