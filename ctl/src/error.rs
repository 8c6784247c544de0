//! What can go wrong, as a person reads it.

use std::io;

/// A failed command.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The agent or the bus refused it.
    #[error(transparent)]
    Agent(#[from] softwarecontainer_client::Error),
    /// Nothing is there to look into.
    #[error("there is no container with ID {0}")]
    NoContainer(i32),
    /// Nothing can be written.
    #[error("cannot write")]
    Output(#[from] io::Error),
    /// Standard input is no terminal.
    #[error("-t needs a terminal as standard input")]
    NoTerminal,
    /// The terminal cannot be used.
    #[error("cannot use the terminal")]
    Terminal(#[source] io::Error),
    /// Signals cannot be handled.
    #[error("cannot handle signals")]
    Signals(#[source] io::Error),
    /// Standard streams cannot be passed on.
    #[error("cannot pass standard streams on")]
    Streams(#[source] io::Error),
    /// The working directory is gone.
    #[error("cannot find the working directory")]
    Directory(#[source] io::Error),
    /// The agent made no terminal.
    #[error("the agent returned no terminal")]
    NothingReturned,
    /// The agent left the bus while the command ran.
    #[error("the agent left the bus while the command ran")]
    AgentGone,
}
