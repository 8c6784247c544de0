//! The proxy process from start to end: takes the control socket, enters the sandbox, serves.

use std::os::fd::{AsFd, OwnedFd};

use rustix::io::Errno;

use crate::{
    args::Arguments,
    control::{Bus, Event},
    error_chain::error_chain,
    sandbox::{self, Identity, SandboxError},
    server::{Server, ServerError, Settings, Upstream},
    sys,
};

/// Why the process ends with a failure.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProcessError {
    /// Standard input is no socket.
    #[error("control socket")]
    Control(#[source] Errno),
    /// The sandbox could not be entered.
    #[error(transparent)]
    Sandbox(#[from] SandboxError),
    /// The event loop could not be set up.
    #[error("epoll")]
    Epoll(#[source] Errno),
    /// The event loop ended.
    #[error(transparent)]
    Server(#[from] ServerError),
}

/// Serves until the agent closes the control socket. Call it once, with one thread.
///
/// # Errors
/// [`ProcessError`], which was reported to the agent, too.
pub fn serve(arguments: Arguments) -> Result<(), ProcessError> {
    let control = take_control().map_err(ProcessError::Control)?;
    let result = sandboxed(arguments, &control);
    if let Err(error) = &result {
        let text = Event::Error(error_chain(error)).to_string();
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
    let sandbox = sandbox::enter(arguments.buses, &identity)?;
    let mut upstreams = sandbox
        .sockets
        .into_iter()
        .zip(arguments.uids)
        .map(|(address, uid)| address.map(|address| Upstream { address, uid }));
    let upstreams = Bus::ALL.map(|_| upstreams.next().flatten());
    let settings = Settings {
        uid: system_uid,
        connections: arguments.connections,
        pending_calls: arguments.pending_calls,
    };
    let mut server = Server::new(own_control, upstreams, &settings).map_err(ProcessError::Epoll)?;
    server.announce(sandbox.missing);
    Ok(server.run()?)
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
