//! What a call on the agent fails with: the text of the D-Bus error.

use std::{io, sync::Arc};

use softwarecontainer_capability::UnknownCapability;
use thiserror::Error;

use crate::{
    container::{ContainerError, host_files::HostFilesError, options::OptionsError},
    error_chain::Chain,
    host::{cgroup::CgroupError, mount::MountError, seccomp::FilterError},
};

/// A failed call.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum AgentError {
    /// No container has that ID.
    #[error("there is no container with ID {id}")]
    NoContainer {
        /// The ID.
        id: i32,
    },
    /// The bus does not tell who calls, so that nobody could use the container.
    #[error("the bus does not tell which user calls")]
    UnknownCaller,
    /// The agent ends, and takes no further calls.
    #[error("the agent is stopping")]
    Stopping,
    /// The agent could not prepare what containers need.
    #[error("the agent cannot make containers")]
    NotReady(#[source] Arc<PrepareError>),
    /// There are as many containers as the configuration allows.
    #[error("there are {limit} containers already, as many as max-containers allows")]
    TooMany {
        /// How many.
        limit: u32,
    },
    /// The argument of `Create` is longer than the configuration allows.
    #[error("the container options have {size} bytes, more than the {limit} of max-command-length")]
    OptionsTooLong {
        /// Its size in bytes.
        size: usize,
        /// The most bytes.
        limit: u32,
    },
    /// Only root may have files made as somebody else.
    #[error(
        "container options: hostUserID is {asked}, but the caller is user {caller}: only root may \
         name another user"
    )]
    HostUser {
        /// The user that is asked for.
        asked: u32,
        /// The caller.
        caller: u32,
    },
    /// `Create` asks for more than the configuration allows.
    #[error(
        "container options: temporaryFileSystemSize is {size}, more than the {limit} of \
         max-root-tree-size"
    )]
    RootTreeTooLarge {
        /// The bytes asked for.
        size: u64,
        /// The most bytes.
        limit: u64,
    },
    /// The argument of `Create` is malformed.
    #[error(transparent)]
    Options(#[from] OptionsError),
    /// No manifest has a capability of that name.
    #[error(transparent)]
    Capability(#[from] UnknownCapability),
    /// An operation on a container failed.
    #[error(transparent)]
    Container(#[from] ContainerError),
    /// A container could not be created on a kernel that lacks something.
    #[error("{}; {kernel}", Chain(error))]
    Create {
        /// Why.
        error: ContainerError,
        /// What the kernel lacks, in words.
        kernel: String,
    },
}

/// What containers need cannot be prepared.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum PrepareError {
    /// The shared part of their root trees.
    #[error(transparent)]
    Template(#[from] MountError),
    /// Files of the host that containers see.
    #[error(transparent)]
    HostFiles(#[from] HostFilesError),
    /// The seccomp profile.
    #[error(transparent)]
    Filter(#[from] FilterError),
    /// The agent's own cgroups are not known, or those of all containers cannot be made.
    #[error(transparent)]
    Cgroups(#[from] CgroupError),
    /// What apps could write to, now or under an earlier agent, is not known.
    #[error("cannot tell which directories apps can write to")]
    Writable(#[source] io::Error),
    /// Sockets of the host cannot be followed.
    #[error("cannot watch the host")]
    Watch(#[source] io::Error),
}
