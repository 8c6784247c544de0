//! Why apps of a container cannot have what its manifests name.

use std::io;

use softwarecontainer_capability::privilege::{Capability, Resource};

use crate::host::seccomp::FilterError;

/// Why apps of a container cannot have what its manifests name.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PrivilegesError {
    /// The container's init does not have a kernel capability.
    #[error(
        "the kernel capability {} cannot be given: the container does not have it itself \
         (lxc.cap.keep in the extra LXC settings?)",
        .0.name()
    )]
    Capability(Capability),
    /// The container's init does not have as high a limit.
    #[error(
        "the limit {} cannot be {wanted}: {highest} is as high as the agent can make it here",
        resource.name()
    )]
    Limit {
        /// What is limited.
        resource: Resource,
        /// What a manifest asks for.
        wanted: u64,
        /// What can be had.
        highest: u64,
    },
    /// What the init has cannot be read.
    #[error("cannot read {path}")]
    Init {
        /// The file in /proc.
        path: String,
        /// Why.
        source: io::Error,
    },
    /// There is no filter for the system calls.
    #[error(transparent)]
    Filter(#[from] FilterError),
}
