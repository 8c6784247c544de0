//! A listening socket in the container of which the compositor knows that it is the container's.
//!
//! The compositor accepts the connections itself, from a process that exits at once
//! (`softwarecontainer-wayland-context`), so this costs a running container two descriptors. A
//! compositor that is restarted gets the same socket again: apps that connect meanwhile wait.

use std::{
    io,
    os::{
        fd::{AsFd as _, AsRawFd as _, OwnedFd},
        unix::net::{UnixListener, UnixStream},
    },
    path::PathBuf,
    process::Command,
    thread,
    time::{Duration, Instant},
};

use rustix::{
    io::Errno,
    net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType},
};
use softwarecontainer_wayland_context::{
    client::{self, RegisterError, Sockets},
    message::Context,
};
use thiserror::Error;

use crate::{
    gateway::target::Target,
    host::app_directory,
    install,
    mounts::{HostSource, host_source::Identity},
};

/// The variable that names the program's file, for an agent that is run from a build tree.
const PROGRAM_VARIABLE: &str = "SOFTWARECONTAINER_WAYLAND_CONTEXT";
const PROGRAM: &str = "softwarecontainer-wayland-context";
/// What confines the apps, as compositors are told and match it in their rules.
const ENGINE: &str = "com.pelagicore.SoftwareContainer";
/// How long a compositor may take to answer where apps must be registered.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long it may take where they need not be: a launcher that is the compositor itself, such as
/// the Qt Application Manager, answers nothing while it waits for the reply to its call.
const SHORT_PATIENCE: Duration = Duration::from_millis(300);
/// How long it may take to listen: one that starts makes its socket first. Nothing tells of the
/// second step.
const LISTEN_LIMIT: Duration = Duration::from_secs(1);
/// How often it is tried.
const LISTEN_INTERVAL: Duration = Duration::from_millis(10);

/// Why the compositor does not know of a container.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ContextError {
    /// It does not have the protocol.
    #[error(
        "the compositor at {} does not offer wp_security_context_manager_v1, which \
         wayland-security-context = required asks for",
        .0.display()
    )]
    NotOffered(PathBuf),
    /// The container's socket could not be made.
    #[error("cannot listen on {}", path.display())]
    Listen {
        /// Where.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The compositor cannot be reached.
    #[error("cannot connect to {}", path.display())]
    Connect {
        /// Its socket.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It could not be told.
    #[error(transparent)]
    Register(#[from] RegisterError),
}

/// The container's own socket.
#[derive(Debug)]
pub(super) struct ContextSocket {
    listener: UnixListener,
    gateways: PathBuf,
    name: String,
    /// The compositor listens as long as it is open.
    open: Option<UnixStream>,
    /// The socket of the compositor that knows of it.
    pub registered: Option<Identity>,
}

impl Drop for ContextSocket {
    fn drop(&mut self) {
        // The app may have removed or replaced it.
        if let Err(error) = app_directory::remove(&self.gateways, &self.name)
            && error.kind() != io::ErrorKind::NotFound
        {
            log::warn!("cannot remove socket {}: {error}", self.name);
        }
    }
}

impl ContextSocket {
    fn listen(target: &Target<'_>, name: &str) -> Result<Self, ContextError> {
        let gateways = target.gateways.clone();
        let made = app_directory::listen(&gateways, name).and_then(|listener| {
            // The compositor's event loop must not wait for a client that has gone again.
            listener.set_nonblocking(true)?;
            Ok(listener)
        });
        let listener = made.map_err(|source| ContextError::Listen {
            path: gateways.join(name),
            source,
        })?;
        Ok(Self {
            listener,
            gateways,
            name: name.to_owned(),
            open: None,
            registered: None,
        })
    }
}

/// Has the compositor accept connections at the socket `name` in the container's `/gateways`, which
/// is made if there is none yet. Tells whether the compositor has the protocol for it.
pub(super) fn register(
    socket: &mut Option<ContextSocket>,
    target: &Target<'_>,
    name: &str,
    compositor: &HostSource,
    identity: Identity,
    must: bool,
) -> Result<bool, ContextError> {
    let connected = connect(compositor).map_err(|source| ContextError::Connect {
        path: compositor.name().to_owned(),
        source,
    })?;
    let socket = match socket {
        Some(socket) => socket,
        None => socket.insert(ContextSocket::listen(target, name)?),
    };
    let (open, until_closed) = UnixStream::pair().map_err(RegisterError::NoAnswer)?;
    let sockets = Sockets {
        compositor: connected.as_fd(),
        listener: socket.listener.as_fd(),
        until_closed: until_closed.as_fd(),
    };
    let context = Context {
        engine: ENGINE.to_owned(),
        app: target.name.to_owned(),
        instance: target.name.to_owned(),
    };
    let program = install::program(PROGRAM, PROGRAM_VARIABLE);
    let start = |command: &mut Command| target.own_cgroups.start_here(|| command.spawn());
    let patience = if must { PATIENCE } else { SHORT_PATIENCE };
    let offered = client::register(&program, start, &sockets, &context, patience)?;
    if offered {
        socket.open = Some(open);
        socket.registered = Some(identity);
    }
    Ok(offered)
}

/// Connects to the very socket that was looked up, without waiting for a compositor that does not
/// accept connections.
fn connect(compositor: &HostSource) -> io::Result<OwnedFd> {
    let path = format!("/proc/self/fd/{}", compositor.as_fd().as_raw_fd());
    let address = SocketAddrUnix::new(path)?;
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
    let deadline = Instant::now() + LISTEN_LIMIT;
    loop {
        match rustix::net::connect(&socket, &address) {
            Ok(()) => return Ok(socket),
            Err(Errno::CONNREFUSED | Errno::AGAIN) if Instant::now() < deadline => {
                thread::sleep(LISTEN_INTERVAL);
            }
            Err(errno) => return Err(errno.into()),
        }
    }
}
