//! A listening socket in the container of which a server of the host knows that it is the
//! container's.
//!
//! The server accepts the connections itself, told by a process that exits at once
//! (`softwarecontainer-security-context`), so this costs a running container two descriptors. A
//! server that is restarted gets the same socket again: apps that connect meanwhile wait, and
//! nothing else does, however long the server takes.

use std::{
    io,
    os::{
        fd::{AsFd as _, AsRawFd as _, BorrowedFd, OwnedFd},
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
use serde::{Deserialize, Serialize};
use softwarecontainer_security_context::{
    client::{RegisterError, Registering, Sockets},
    message::{Context, Server},
};
use thiserror::Error;

use super::target::Target;
use crate::{
    error_chain::Chain,
    host::{app_directory, descriptor_store::Shelf},
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
/// For an answer that is there or is not.
const AT_ONCE: Duration = Duration::from_millis(1);

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
    /// A server that is restarting is being told.
    pending: Option<Pending>,
    /// What was said of the last attempt, once.
    failure: Option<String>,
    shelved: Shelved,
}

/// A registration without an answer yet.
#[derive(Debug)]
struct Pending {
    registering: Registering,
    open: UnixStream,
    server: Identity,
}

/// What came of telling a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Told {
    /// It knows of the container.
    Registered,
    /// It does not know security contexts.
    NotOffered,
    /// It will know when it answers.
    Later,
}

/// Which descriptors of a socket are on the shelf.
#[derive(Debug, Default)]
struct Shelved {
    listener: bool,
    open: bool,
}

/// What is written down of a socket.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Kept {
    name: String,
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
    /// Whether a predecessor of the server knew of the same: then nobody waits for the answer.
    pub is_successor: bool,
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
            pending: None,
            failure: None,
            shelved: Shelved::default(),
        })
    }

    /// What the next agent has to know of a socket, if there is one; its descriptors are on the
    /// shelf as `item`. The server goes on to accept connections as long as they are.
    pub(super) fn keep(socket: Option<&mut Self>, shelf: &Shelf<'_>, item: &str) -> Option<Kept> {
        let open_item = open_item(item);
        let Some(socket) = socket else {
            shelf.forget(item);
            shelf.forget(&open_item);
            return None;
        };
        let put = |item: &str, descriptor: BorrowedFd<'_>| {
            let kept = shelf.keep(item, descriptor);
            kept.inspect_err(|error| log::warn!("{item} would not outlive the agent: {error}"))
                .is_ok()
        };
        if !socket.shelved.listener {
            socket.shelved.listener = put(item, socket.listener.as_fd());
        }
        match &socket.open {
            Some(open) if !socket.shelved.open => {
                socket.shelved.open = put(&open_item, open.as_fd());
            }
            Some(_) => {}
            None => shelf.forget(&open_item),
        }
        Some(Kept {
            name: socket.name.clone(),
            registered: socket.registered,
        })
    }

    /// Goes on with the socket that an earlier agent has kept; `None` where there was none, or it
    /// was not kept: apps need a new one then, while their connections stay open.
    pub(super) fn adopt(
        target: &Target<'_>,
        kept: Option<Kept>,
        shelf: &Shelf<'_>,
        item: &str,
    ) -> Option<Self> {
        let open = shelf.take(&open_item(item)).map(UnixStream::from);
        let (Some(kept), Some(listener)) = (kept, shelf.take(item)) else {
            return None;
        };
        if let Some(open) = &open {
            follow(target, open, &kept.name);
        }
        Some(Self {
            listener: listener.into(),
            gateways: target.gateways.clone(),
            name: kept.name,
            shelved: Shelved {
                listener: true,
                open: open.is_some(),
            },
            open,
            registered: kept.registered,
            pending: None,
            failure: None,
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

    /// Looks for the answer.
    fn look(
        &mut self,
        target: &Target<'_>,
        pending: Pending,
        registration: &Registration<'_>,
    ) -> Result<Told, ContextError> {
        let patience = if registration.is_successor {
            AT_ONCE
        } else {
            registration.patience
        };
        match pending.registering.wait(patience)? {
            Some(true) => {}
            Some(false) => return Ok(Told::NotOffered),
            None if registration.is_successor => {
                self.pending = Some(pending);
                return Ok(Told::Later);
            }
            None => return Err(RegisterError::NoAnswer(io::ErrorKind::TimedOut.into()).into()),
        }
        follow(target, &pending.open, registration.name);
        self.open = Some(pending.open);
        self.shelved.open = false;
        self.registered = Some(pending.server);
        Ok(Told::Registered)
    }
}

/// Has the server accept connections at a socket in the container's `/gateways`, which is made if
/// there is none.
pub(super) fn register(
    socket: &mut Option<ContextSocket>,
    target: &Target<'_>,
    registration: &Registration<'_>,
) -> Result<Told, ContextError> {
    let waited = socket.as_mut().and_then(|socket| {
        let pending = socket.pending.take();
        pending.filter(|it| registration.is_successor && it.server == registration.identity)
    });
    let told = match waited {
        Some(pending) => Ok(pending),
        None => start(socket, target, registration),
    };
    let Some(socket) = socket else {
        return told.map(|_| Told::Later);
    };
    let told = told.and_then(|pending| socket.look(target, pending, registration));
    match told {
        Err(failure) if registration.is_successor => {
            // Nothing else tells of a server whose socket somebody keeps.
            target.watch.look_again();
            let text = Chain(&failure).to_string();
            if socket.failure.as_ref() == Some(&text) {
                return Ok(Told::Later);
            }
            socket.failure = Some(text);
            Err(failure)
        }
        told => {
            socket.failure = None;
            told
        }
    }
}

/// Starts to tell the server.
fn start(
    socket: &mut Option<ContextSocket>,
    target: &Target<'_>,
    registration: &Registration<'_>,
) -> Result<Pending, ContextError> {
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
        server: registration.server.clone(),
        engine: ENGINE.to_owned(),
        app: if target.app.is_empty() {
            target.name.to_owned()
        } else {
            target.app.to_owned()
        },
        instance: target.name.to_owned(),
    };
    let program = install::program(PROGRAM, PROGRAM_VARIABLE);
    let spawn = |command: &mut Command| target.own_cgroups.start_here(|| command.spawn());
    let pending = Pending {
        registering: Registering::start(&program, spawn, &sockets, &context)?,
        open,
        server: registration.identity,
    };
    if registration.is_successor {
        let control = pending.registering.control();
        target
            .watch
            .follow_peer(control)
            .map_err(RegisterError::NoAnswer)?;
    }
    Ok(pending)
}

/// Has the agent told when the server with the other end of `open` has ended.
fn follow(target: &Target<'_>, open: &UnixStream, name: &str) {
    if let Err(error) = target.watch.follow_peer(open.as_fd()) {
        log::warn!(
            "container {}: that the server of {name} has ended is not seen at once: {error}",
            target.id
        );
    }
}

/// What stands on the shelf for what keeps a server listening.
fn open_item(item: &str) -> String {
    format!("{item}.open")
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
