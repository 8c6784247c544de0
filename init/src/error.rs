//! What ends an init before its time.

use std::{ffi::OsString, io};

use thiserror::Error;

/// What the init cannot do without.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum InitError {
    /// It could be traced by other processes of the container.
    #[error("cannot forbid that this process is traced")]
    Tracing(#[source] io::Error),
    /// What it starts would have a priority that is its own.
    #[error("cannot read the priority of this process")]
    Priority(#[source] io::Error),
    /// It would not hear of its children's ends.
    #[error("cannot get signals of ended processes")]
    Signals(#[source] io::Error),
    /// There is no input for new processes.
    #[error("cannot open /dev/null")]
    Null(#[source] io::Error),
    /// It would have kernel capabilities that the container has not.
    #[error("cannot drop kernel capabilities")]
    Capabilities(#[source] io::Error),
    /// It would have no second layer beneath the filters of system calls.
    #[error("cannot enter a domain of Landlock")]
    Landlock(#[source] io::Error),
    /// There is no connection to the agent.
    #[error("cannot connect to {}", .socket.display())]
    Connect {
        /// The socket, `-` for standard input.
        socket: OsString,
        /// Why.
        source: io::Error,
    },
    /// It cannot wait for the agent and its children.
    #[error("cannot wait for the agent or an ended process")]
    Wait(#[source] io::Error),
    /// The connection to the agent failed.
    #[error("cannot talk to the agent")]
    Agent(#[source] io::Error),
    /// Ended processes stay.
    #[error("cannot reap an ended process")]
    Reap(#[source] io::Error),
}
