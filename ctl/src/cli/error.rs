//! What can be wrong with a command line.

/// A command line that cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum UsageError {
    /// An option or a value.
    #[error(transparent)]
    Option(#[from] lexopt::Error),
    /// There is no command.
    #[error("a command is missing")]
    NoCommand,
    /// There is no such command.
    #[error("there is no command {0:?}")]
    Command(String),
    /// An argument is missing.
    #[error("{command}: {what} is missing")]
    Missing {
        /// The command.
        command: String,
        /// What is missing, with its article.
        what: &'static str,
    },
    /// There is no such signal.
    #[error("there is no signal {0:?}")]
    Signal(String),
    /// A variable has no value.
    #[error("variable {0:?} must be NAME=VALUE")]
    Variable(String),
    /// A mount is none.
    #[error(
        "mount {0:?} must be HOST:CONTAINER or HOST:CONTAINER:ro, with an absolute path in the container"
    )]
    Mount(String),
}

impl UsageError {
    pub(super) fn missing(command: &str, what: &'static str) -> Self {
        Self::Missing {
            command: command.to_owned(),
            what,
        }
    }
}
