//! What can go wrong, as a person reads it.

use std::fmt;
use std::io;
use std::path::PathBuf;

/// An error of the launcher.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// The bus cannot be reached.
    Bus(zbus::Error),
    /// The agent refused or failed a call; the message is the agent's.
    Call {
        /// D-Bus method.
        method: &'static str,
        /// What came back.
        source: zbus::Error,
    },
    /// A file cannot be used.
    File {
        /// What was attempted, as a verb.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// An app manifest is not what it should be.
    Manifest {
        /// The manifest.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// No app of that name runs.
    NotRunning(String),
    /// An app of that name runs already.
    Running(String),
    /// The agent left the bus while an app ran.
    AgentGone,
    /// Signals cannot be handled.
    Signals(io::Error),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bus(source) => write!(f, "cannot use the bus: {source}"),
            Self::Call {
                method,
                source: zbus::Error::MethodError(_, Some(message), _),
            } => write!(f, "{method} failed: {message}"),
            Self::Call { method, source } => write!(f, "{method} failed: {source}"),
            Self::File {
                action,
                path,
                source,
            } => write!(f, "cannot {action} {}: {source}", path.display()),
            Self::Manifest { path, reason } => write!(f, "{}: {reason}", path.display()),
            Self::NotRunning(name) => write!(f, "no app named {name} is running"),
            Self::Running(name) => write!(f, "an app named {name} is running already"),
            Self::AgentGone => write!(f, "the agent left the bus while the app was running"),
            Self::Signals(source) => write!(f, "cannot handle signals: {source}"),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Bus(source) | Self::Call { source, .. } => Some(source),
            Self::File { source, .. } | Self::Signals(source) => Some(source),
            _ => None,
        }
    }
}
