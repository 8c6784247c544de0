//! A proxy process that outlives its agent.

use std::os::fd::OwnedFd;

use super::process::SocketIdentity;

/// A proxy process, with what another agent needs to go on with it.
#[derive(Debug)]
pub struct Left {
    /// Its process ID.
    pub pid: u32,
    /// It itself (pidfd_open(2)).
    pub process: OwnedFd,
    /// The agent's end of its control socket.
    pub control: OwnedFd,
    /// The buses' sockets that it can see.
    pub sockets: [SocketIdentity; 2],
}

/// What is to be kept of a proxy process, as [`Left`].
#[derive(Debug)]
pub struct Present {
    /// Its process ID.
    pub pid: u32,
    /// The agent's end of its control socket.
    pub control: OwnedFd,
    /// The buses' sockets that it can see.
    pub sockets: [SocketIdentity; 2],
}
