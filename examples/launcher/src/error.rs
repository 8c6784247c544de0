//! What can go wrong, as a person reads it.

use std::{io, path::PathBuf};

use crate::manifest_error::ManifestError;

/// An error of the launcher.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The bus cannot be reached.
    #[error("cannot use the bus")]
    Bus(#[source] zbus::Error),
    /// There is no bus.
    #[error(transparent)]
    Connect(softwarecontainer_client::Error),
    /// The agent refused or failed a call; the message is the agent's.
    #[error("{method} failed")]
    Call {
        /// D-Bus method.
        method: &'static str,
        /// What came back.
        source: softwarecontainer_client::Error,
    },
    /// A file cannot be used.
    #[error("cannot {action} {}", path.display())]
    File {
        /// What was attempted, as a verb.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// An app manifest is not what it should be.
    #[error("{}", path.display())]
    Manifest {
        /// The manifest.
        path: PathBuf,
        /// What is wrong with it.
        source: ManifestError,
    },
    /// No app of that name runs.
    #[error("no app named {0} is running")]
    NotRunning(String),
    /// An app of that name runs already.
    #[error("an app named {0} is running already")]
    Running(String),
    /// The agent left the bus while an app ran.
    #[error("the agent left the bus while the app was running")]
    AgentGone,
    /// Signals cannot be handled.
    #[error("cannot handle signals")]
    Signals(#[source] io::Error),
}
