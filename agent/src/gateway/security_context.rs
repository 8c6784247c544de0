//! A listening socket in the container of which a server of the host knows that it is the
//! container's.
//!
//! The server accepts the connections itself, told by a process that exits at once
//! (`softwarecontainer-security-context`), so this costs a running container two descriptors. A
//! server that is restarted gets the same socket again: apps that connect meanwhile wait.

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

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use rustix::{
    io::Errno,
    net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType},
};
use softwarecontainer_security_context::{
    client::{self, RegisterError, Sockets},
    message::{Context, Server},
};
use thiserror::Error;

use super::target::Target;
use crate::{
    host::app_directory,
    install,
    mounts::{HostSource, host_source::Identity},
};

/// The variable that names the program's file, for an agent that is run from a build tree.
const PROGRAM_VARIABLE: &str = "SOFTWARECONTAINER_SECURITY_CONTEXT";
const PROGRAM: &str = "softwarecontainer-security-context";
/// What confines the apps, as servers are told and match it in their rules.
const ENGINE: &str = "com.pelagicore.SoftwareContainer";
/// How long a server may take to listen: one that starts makes its socket first. Nothing tells of
/// the second step.
const LISTEN_LIMIT: Duration = Duration::from_secs(1);
/// How often it is tried.
const LISTEN_INTERVAL: Duration = Duration::from_millis(10);

/// Why a server does not know of a container.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ContextError {
    /// The compositor does not have the protocol.
    #[error(
        "the compositor at {} does not offer wp_security_context_manager_v1, which \
         wayland-security-context = required asks for",
        .0.display()
    )]
    NoProtocol(PathBuf),
    /// PipeWire does not have the interface.
    #[error("PipeWire at {} has no security contexts, which came with version 0.3.84", .0.display())]
    NoInterface(PathBuf),
    /// The container's socket could not be made.
    #[error("cannot listen on {}", path.display())]
    Listen {
        /// Where.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The server cannot be reached.
    #[error("cannot connect to {}", path.display())]
    Connect {
        /// Its socket.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A launcher that is the compositor itself, such as the Qt Application Manager, answers
    /// nothing while it waits for the reply to its call.
    #[error("the compositor is the launcher itself, which waits for this call")]
    Waits,
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
    /// The server listens as long as it is open.
    open: Option<UnixStream>,
    /// The socket of the server that knows of it.
    registered: Option<Identity>,
}

/// A server that is to know of a container.
#[derive(Debug)]
pub(super) struct Registration<'a> {
    /// Which one.
    pub server: Server,
    /// Its socket.
    pub socket: &'a HostSource,
    /// What tells that socket from its successors.
    pub identity: Identity,
    /// The container's socket in `/gateways`.
    pub name: &'a str,
    /// How long the server may take to answer.
    pub patience: Duration,
    /// Whether a server that is the launcher itself, and waits for the call, is asked, too.
    pub also_launcher: bool,
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
            // The server's event loop must not wait for a client that has gone again.
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

    /// Whether the server with this socket knows of it, and has not ended: one that systemd listens
    /// for keeps its socket.
    pub(super) fn is_registered(&self, identity: Identity) -> bool {
        let lives = self.open.as_ref().is_some_and(|open| {
            let mut wanted = [PollFd::new(open.as_fd(), PollFlags::empty())];
            matches!(poll(&mut wanted, PollTimeout::ZERO), Ok(0))
        });
        lives && self.registered == Some(identity)
    }
}

/// Has the server accept connections at a socket in the container's `/gateways`, which is made if
/// there is none. Tells whether the server knows security contexts.
pub(super) fn register(
    socket: &mut Option<ContextSocket>,
    target: &Target<'_>,
    registration: Registration<'_>,
) -> Result<bool, ContextError> {
    let connected = connect(registration.socket).map_err(|source| ContextError::Connect {
        path: registration.socket.name().to_owned(),
        source,
    })?;
    if !registration.also_launcher
        && target.launcher.is_some()
        && listener_of(&connected) == target.launcher
    {
        return Err(ContextError::Waits);
    }
    let socket = match socket {
        Some(socket) => socket,
        None => socket.insert(ContextSocket::listen(target, registration.name)?),
    };
    let (open, until_closed) = UnixStream::pair().map_err(RegisterError::NoAnswer)?;
    let sockets = Sockets {
        server: connected.as_fd(),
        listener: socket.listener.as_fd(),
        until_closed: until_closed.as_fd(),
    };
    let context = Context {
        server: registration.server,
        engine: ENGINE.to_owned(),
        app: if target.app.is_empty() {
            target.name.to_owned()
        } else {
            target.app.to_owned()
        },
        instance: target.name.to_owned(),
    };
    let program = install::program(PROGRAM, PROGRAM_VARIABLE);
    let start = |command: &mut Command| target.own_cgroups.start_here(|| command.spawn());
    let offered = client::register(&program, start, &sockets, &context, registration.patience)?;
    if offered {
        if let Err(error) = target.watch.follow_peer(open.as_fd()) {
            log::warn!(
                "container {}: that {} has ended is not seen at once: {error}",
                target.id,
                registration.socket.name().display()
            );
        }
        socket.open = Some(open);
        socket.registered = Some(registration.identity);
    }
    Ok(offered)
}

/// The process that listens at the other end (`SO_PEERCRED`, unix(7)).
fn listener_of(connected: &OwnedFd) -> Option<u32> {
    let peer = rustix::net::sockopt::socket_peercred(connected).ok()?;
    u32::try_from(peer.pid.as_raw_nonzero().get()).ok()
}

/// Connects to the very socket that was looked up, without waiting for a server that accepts no
/// connections.
fn connect(server: &HostSource) -> io::Result<OwnedFd> {
    let path = format!("/proc/self/fd/{}", server.as_fd().as_raw_fd());
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
