//! The life of the proxy process: takes the control socket, enters the sandbox, serves.

use std::fmt;
use std::os::fd::{AsFd, OwnedFd};

use rustix::io::Errno;

use crate::args::Arguments;
use crate::control::{Bus, Event};
use crate::sandbox::{self, Identity, SandboxError};
use crate::server::{Server, ServerError, Upstream};
use crate::sys;

/// Why the process ends with a failure.
#[derive(Debug)]
#[non_exhaustive]
pub enum ProcessError {
    /// Standard input is no socket.
    Control(Errno),
    /// The sandbox could not be entered.
    Sandbox(SandboxError),
    /// The event loop could not be set up.
    Epoll(Errno),
    /// The event loop ended.
    Server(ServerError),
}

impl fmt::Display for ProcessError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Control(error) => write!(f, "control socket: {error}"),
            Self::Sandbox(error) => error.fmt(f),
            Self::Epoll(error) => write!(f, "epoll: {error}"),
            Self::Server(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for ProcessError {}

/// Serves until the agent closes the control socket. Call it once, with one thread.
///
/// # Errors
/// [`ProcessError`], which was told to the agent, too.
pub fn serve(arguments: Arguments) -> Result<(), ProcessError> {
    let control = take_control().map_err(ProcessError::Control)?;
    let result = sandboxed(arguments, &control);
    if let Err(error) = &result {
        let text = Event::Error(error.to_string()).to_string();
        // The agent may have gone, and sees the end of the process in any case.
        let _ = sys::transmit(&control, text.as_bytes(), &[]);
    }
    result
}

fn sandboxed(arguments: Arguments, control: &OwnedFd) -> Result<(), ProcessError> {
    let [session_uid, system_uid] = arguments.uids;
    let identity = Identity {
        system_uid,
        session_uid,
        gid: arguments.gid,
    };
    let own_control = control.try_clone();
    let own_control = own_control.map_err(|error| {
        ProcessError::Control(Errno::from_io_error(&error).unwrap_or(Errno::BADF))
    })?;
    let sandbox = sandbox::enter(arguments.buses, &identity).map_err(ProcessError::Sandbox)?;
    let mut upstreams = sandbox
        .sockets
        .into_iter()
        .zip(arguments.uids)
        .map(|(address, uid)| address.map(|address| Upstream { address, uid }));
    let upstreams = Bus::ALL.map(|_| upstreams.next().flatten());
    let mut server = Server::new(own_control, upstreams, system_uid, arguments.connections)
        .map_err(ProcessError::Epoll)?;
    server.announce(sandbox.missing);
    server.run().map_err(ProcessError::Server)
}

/// Takes the control socket from standard input and closes what else was inherited.
fn take_control() -> Result<OwnedFd, Errno> {
    // Kernels before 5.9 lack the call; then what was left open without close-on-exec stays open.
    // SAFETY: nothing has been opened yet, so nothing owns these descriptors.
    let _ = unsafe { libc::syscall(libc::SYS_close_range, 3, libc::c_uint::MAX, 0) };
    let control = std::io::stdin().as_fd().try_clone_to_owned();
    let control = control.map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::BADF))?;
    // Fails for what is no socket.
    rustix::net::getsockname(&control)?;
    Ok(control)
}
