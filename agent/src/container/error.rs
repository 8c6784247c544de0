//! What can go wrong with a container.

use std::{fmt, io, path::PathBuf};

use softwarecontainer_capability::error::ConfigError;
use softwarecontainer_network::NetworkError;
use thiserror::Error;

use super::{
    init_link::SpawnError, lxc_start::StartError, processes::StartFailure, state::State,
    streams::StreamError,
};
use crate::{
    command_line::SplitError,
    error_chain::Chain,
    gateway::GatewayError,
    host::{
        apparmor::AppArmorError, cgroup::CgroupError, mount::MountError, namespace::NamespaceError,
        output_file::OutputFileError, seccomp::FilterError, user_namespace::NoUserNamespace,
    },
    mounts::{BindError, buffers::BuffersError},
};

/// A failed operation on a container.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ContainerError {
    /// The container's state does not allow it.
    #[error("container {id}: cannot {action}: it is {state}")]
    State {
        /// The container's ID.
        id: i32,
        /// What was asked for.
        action: &'static str,
        /// Its state.
        state: State,
    },
    /// The container has ended.
    #[error("container {id} has ended; it can only be destroyed")]
    Gone {
        /// The container's ID.
        id: i32,
    },
    /// Somebody else has frozen its processes.
    #[error(
        "container {id} is frozen, though not by Suspend: no process can start (lxc-unfreeze(1) or \
         freezer.state thaws it)"
    )]
    Frozen {
        /// The container's ID.
        id: i32,
    },
    /// liblxc did not start it.
    #[error("{}{}", Chain(error), logged(log))]
    Start {
        /// Why.
        error: StartError,
        /// What liblxc logged.
        log: String,
    },
    /// Something did not happen in time.
    #[error("container {id}: {action} did not end in time")]
    Late {
        /// The container's ID.
        id: i32,
        /// What was waited for.
        action: &'static str,
    },
    /// A mount or directory of the container could not be made or removed.
    #[error(transparent)]
    Mount(#[from] MountError),
    /// It could not be connected to the network.
    #[error(transparent)]
    Network(#[from] NetworkError),
    /// The namespaces could not be used.
    #[error(transparent)]
    Namespace(#[from] NamespaceError),
    /// The container's init did not come up.
    #[error("container {id}: its init did not come up{}", logged(log))]
    Init {
        /// The container's ID.
        id: i32,
        /// Why.
        source: io::Error,
        /// What liblxc logged.
        log: String,
    },
    /// It cannot have the AppArmor profile that it has to have.
    #[error(transparent)]
    AppArmor(#[from] AppArmorError),
    /// User namespaces are required and cannot be had.
    #[error(transparent)]
    NoUserNamespace(#[from] NoUserNamespace),
    /// Without a user namespace files belong to whom they belong to.
    #[error("container options: hostUserID needs a user namespace, which this container has not")]
    HostUser,
    /// A capability's gateway configuration is malformed.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A gateway could not apply its configuration.
    #[error("container {id}{asked}")]
    Gateway {
        /// The container's ID.
        id: i32,
        /// Who asked for it: `, capability … in …`.
        asked: String,
        /// What failed.
        source: Box<GatewayError>,
    },
    /// A bind mount failed.
    #[error("container {id}: bind mount")]
    BindMount {
        /// The container's ID.
        id: i32,
        /// Why.
        source: Box<BindError>,
    },
    /// The command line cannot be split.
    #[error("command line {text:?}")]
    CommandLine {
        /// The command line.
        text: String,
        /// Why.
        source: SplitError,
    },
    /// A string holds a NUL byte.
    #[error("{text:?} contains a NUL byte")]
    Nul {
        /// The string.
        text: String,
    },
    /// A variable's name is empty or holds `=`.
    #[error("environment variable name {name:?} is empty or contains \"=\"")]
    Variable {
        /// The name.
        name: String,
    },
    /// A text of the call is longer than the configuration allows.
    #[error("the {what} has {size} bytes, more than the {limit} of {key}")]
    TooLong {
        /// What is too long.
        what: &'static str,
        /// Its size in bytes.
        size: usize,
        /// The most bytes.
        limit: u32,
        /// The configuration's key.
        key: &'static str,
    },
    /// The output file cannot be used.
    #[error(transparent)]
    Output(#[from] OutputFileError),
    /// A process could not be started.
    #[error("container {id}: {program:?}: {what}")]
    Spawn {
        /// The container's ID.
        id: i32,
        /// The program.
        program: String,
        /// The step that failed, with its object.
        what: String,
        /// Why.
        source: io::Error,
    },
    /// No launcher has started that process, or it has ended.
    #[error("container {id}: no process {process} that was started by a call runs there")]
    NoProcess {
        /// The container's ID.
        id: i32,
        /// The process ID on the host.
        process: u32,
    },
    /// The container's init cannot be told what to do.
    #[error("container {id}: its init cannot be reached")]
    Unreachable {
        /// The container's ID.
        id: i32,
        /// Why.
        source: io::Error,
    },
    /// A descriptor was handed over that an app may not have.
    #[error(transparent)]
    Stream(#[from] StreamError),
    /// No terminal could be made.
    #[error("container {id}: cannot make a terminal")]
    Terminal {
        /// The container's ID.
        id: i32,
        /// Why.
        source: io::Error,
    },
    /// There is no limit of that name.
    #[error("there is no limit {name:?}")]
    UnknownLimit {
        /// The name.
        name: String,
    },
    /// A limit is higher than the container's apps may have it.
    #[error("limit {name} is {asked}, more than the {most} that apps of container {id} may have")]
    Limit {
        /// The container's ID.
        id: i32,
        /// The limit.
        name: String,
        /// What was asked for.
        asked: u64,
        /// The most.
        most: u64,
    },
    /// The system's cgroups could not be looked at.
    #[error(transparent)]
    Cgroup(#[from] CgroupError),
    /// A file of the container could not be removed.
    #[error("cannot remove {}", .path.display())]
    Remove {
        /// The file or directory.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// No process could be started in the host's IPC namespace.
    #[error("container {id}: cannot start processes in the host's IPC namespace")]
    HostIpc {
        /// The container's ID.
        id: i32,
        /// Why.
        source: io::Error,
    },
    /// There is no filter for the system calls of its processes.
    #[error(transparent)]
    Filter(#[from] FilterError),
    /// What was buffered could not be written to the host.
    #[error(transparent)]
    Buffers(#[from] BuffersError),
    /// Several things went wrong while everything else was removed.
    #[error("{}", listed(.0))]
    Several(Vec<ContainerError>),
}

impl ContainerError {
    pub(super) fn spawn(id: i32, arguments: &[String], directory: &str, error: SpawnError) -> Self {
        let (what, source) = match error {
            SpawnError::Send(source) => {
                ("the container's init cannot be reached".to_owned(), source)
            }
            SpawnError::Start(StartFailure::InitGone) => return Self::Gone { id },
            SpawnError::Start(StartFailure::Ended(status)) => (
                "it did not start".to_owned(),
                io::Error::other(format!("it was ended first, with wait status {status}")),
            ),
            SpawnError::Start(StartFailure::Late) => (
                "it did not start in time".to_owned(),
                io::Error::other("the container's other processes keep it from doing so"),
            ),
            SpawnError::Start(StartFailure::Failed(errno)) => (
                "it could not be started".to_owned(),
                io::Error::from_raw_os_error(errno),
            ),
            SpawnError::Start(StartFailure::NoDirectory(errno)) => (
                format!("cannot enter working directory {directory:?}"),
                io::Error::from_raw_os_error(errno),
            ),
        };
        Self::Spawn {
            id,
            program: arguments.first().cloned().unwrap_or_default(),
            what,
            source,
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ready => "ready",
            Self::Suspended => "suspended",
            Self::Invalid => "invalid (it can only be destroyed)",
        })
    }
}

fn logged(log: &str) -> String {
    if log.is_empty() {
        String::new()
    } else {
        format!(" (LXC log: {log})")
    }
}

fn listed(errors: &[ContainerError]) -> String {
    let texts: Vec<_> = errors.iter().map(|it| Chain(it).to_string()).collect();
    texts.join("; ")
}
