//! What can go wrong with a container.

use std::{fmt, io, path::PathBuf};

use softwarecontainer_capability::error::ConfigError;
use softwarecontainer_lxc as lxc;
use softwarecontainer_network::NetworkError;

use super::{State, init_link::SpawnError, processes::StartFailure};
use crate::{
    command_line::SplitError,
    error_chain::Chain,
    gateway::GatewayError,
    host::{
        cgroup::CgroupError, mount::MountError, namespace::NamespaceError,
        output_file::OutputFileError, seccomp::FilterError,
    },
    mounts::{BindError, buffers::BuffersError},
};

/// A failed operation on a container.
#[derive(Debug)]
#[non_exhaustive]
pub enum ContainerError {
    /// The container's state does not allow it.
    State {
        /// The container's ID.
        id: i32,
        /// What was asked for.
        action: &'static str,
        /// Its state.
        state: State,
    },
    /// The container has ended.
    Gone {
        /// The container's ID.
        id: i32,
    },
    /// liblxc failed.
    Lxc {
        /// The call's error.
        error: lxc::Error,
        /// What liblxc logged.
        log: String,
    },
    /// liblxc did not do something in time.
    Late {
        /// The container's ID.
        id: i32,
        /// What was waited for.
        action: &'static str,
    },
    /// A mount or directory of the container could not be made or removed.
    Mount(MountError),
    /// It could not be connected to the network.
    Network(NetworkError),
    /// The namespaces could not be used.
    Namespace(NamespaceError),
    /// The container's init did not come up.
    Init {
        /// The container's ID.
        id: i32,
        /// Why.
        source: io::Error,
        /// What liblxc logged.
        log: String,
    },
    /// User namespaces are required and cannot be had.
    NoUserNamespace {
        /// Why.
        why: String,
    },
    /// A capability's gateway configuration is malformed.
    Config(ConfigError),
    /// A gateway could not apply its configuration.
    Gateway(GatewayError),
    /// A bind mount failed.
    BindMount {
        /// The container's ID.
        id: i32,
        /// Why.
        source: Box<BindError>,
    },
    /// The command line cannot be split.
    CommandLine {
        /// The command line.
        text: String,
        /// Why.
        error: SplitError,
    },
    /// A string holds a NUL byte.
    Nul {
        /// The string.
        text: String,
    },
    /// A variable's name is empty or holds `=`.
    Variable {
        /// The name.
        name: String,
    },
    /// A text of the call is longer than the configuration allows.
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
    Output(OutputFileError),
    /// A process could not be started.
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
    /// The system's cgroups could not be looked at.
    Cgroup(CgroupError),
    /// A file of the container could not be removed.
    Remove {
        /// The file or directory.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// No process could be started in the host's IPC namespace.
    HostIpc {
        /// The container's ID.
        id: i32,
        /// Why.
        source: io::Error,
    },
    /// There is no filter for the system calls of its processes.
    Filter(FilterError),
    /// What was buffered could not be written to the host.
    Buffers(BuffersError),
    /// Several things went wrong while everything else was removed.
    Several(Vec<ContainerError>),
}

impl ContainerError {
    pub(super) fn spawn(id: i32, arguments: &[String], directory: &str, error: SpawnError) -> Self {
        let (what, source) = match error {
            SpawnError::Send(source) => {
                ("the container's init cannot be reached".to_owned(), source)
            }
            SpawnError::Start(StartFailure::InitGone) => return Self::Gone { id },
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

impl fmt::Display for ContainerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::State { id, action, state } => {
                write!(f, "container {id}: cannot {action}: it is {state}")
            }
            Self::Gone { id } => write!(f, "container {id} has ended; it can only be destroyed"),
            Self::Lxc { error, log } => write!(f, "{error}{}", logged(log)),
            Self::Late { id, action } => write!(f, "container {id}: {action} did not end in time"),
            Self::Mount(error) => Chain(error).fmt(f),
            Self::Namespace(error) => Chain(error).fmt(f),
            Self::Network(error) => error.fmt(f),
            Self::Init { id, source, log } => {
                write!(
                    f,
                    "container {id}: its init did not come up: {source}{}",
                    logged(log)
                )
            }
            Self::NoUserNamespace { why } => {
                write!(f, "the configuration requires user namespaces: {why}")
            }
            Self::Config(error) => error.fmt(f),
            Self::Gateway(error) => Chain(error).fmt(f),
            Self::BindMount { id, source } => {
                write!(f, "container {id}: bind mount: {}", Chain(source))
            }
            Self::CommandLine { text, error } => write!(f, "command line {text:?}: {error}"),
            Self::Nul { text } => write!(f, "{text:?} contains a NUL byte"),
            Self::Variable { name } => {
                write!(
                    f,
                    "environment variable name {name:?} is empty or contains \"=\""
                )
            }
            Self::TooLong {
                what,
                size,
                limit,
                key,
            } => write!(
                f,
                "the {what} has {size} bytes, more than the {limit} of {key}"
            ),
            Self::Output(error) => Chain(error).fmt(f),
            Self::Filter(error) => error.fmt(f),
            Self::Buffers(error) => error.fmt(f),
            Self::HostIpc { id, source } => write!(
                f,
                "container {id}: cannot start processes in the host's IPC namespace: {source}"
            ),
            Self::Spawn {
                id,
                program,
                what,
                source,
            } => {
                write!(f, "container {id}: {program:?}: {what}: {source}")
            }
            Self::Cgroup(error) => error.fmt(f),
            Self::Remove { path, source } => {
                write!(f, "cannot remove {}: {source}", path.display())
            }
            Self::Several(errors) => {
                for (index, error) in errors.iter().enumerate() {
                    let separator = if index == 0 { "" } else { "; " };
                    write!(f, "{separator}{error}")?;
                }
                Ok(())
            }
        }
    }
}

fn logged(log: &str) -> String {
    if log.is_empty() {
        String::new()
    } else {
        format!(" (LXC log: {log})")
    }
}

impl std::error::Error for ContainerError {}

impl From<MountError> for ContainerError {
    fn from(error: MountError) -> Self {
        Self::Mount(error)
    }
}

impl From<NetworkError> for ContainerError {
    fn from(error: NetworkError) -> Self {
        Self::Network(error)
    }
}

impl From<NamespaceError> for ContainerError {
    fn from(error: NamespaceError) -> Self {
        Self::Namespace(error)
    }
}

impl From<ConfigError> for ContainerError {
    fn from(error: ConfigError) -> Self {
        Self::Config(error)
    }
}

impl From<FilterError> for ContainerError {
    fn from(error: FilterError) -> Self {
        Self::Filter(error)
    }
}

impl From<GatewayError> for ContainerError {
    fn from(error: GatewayError) -> Self {
        Self::Gateway(error)
    }
}

impl From<OutputFileError> for ContainerError {
    fn from(error: OutputFileError) -> Self {
        Self::Output(error)
    }
}
