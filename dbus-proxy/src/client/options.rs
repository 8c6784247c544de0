//! How a proxy is started, and what it is to serve.

use std::{
    fmt, io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    path::PathBuf,
    process::{Child, Command},
    sync::Arc,
};

use crate::{address::SocketAddress, control::Bus, rule::RuleSet};

/// A bus of the host, and the user to be on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BusAccess {
    /// Where it listens.
    pub address: SocketAddress,
    /// A user that it lets in.
    pub uid: u32,
}

/// How to start a proxy.
#[derive(Clone, Debug)]
pub struct Options {
    /// The executable.
    pub program: PathBuf,
    /// Whose proxy it is, for the log.
    pub name: String,
    /// The session bus, unless there is none.
    pub session: Option<BusAccess>,
    /// The system bus. Its user is the one that the proxy runs as.
    pub system: BusAccess,
    /// The group that the proxy runs as.
    pub gid: u32,
    /// How many connections the container may have, over both buses.
    pub connections: u32,
    /// How many calls of a connection may wait for their replies, in each direction.
    pub pending_calls: u32,
    /// Starts the process.
    pub spawn: Spawn,
    /// Called when the process was started again.
    pub restarted: Hook,
    /// Told what was refused, instead of the log.
    pub refused: Option<Refused>,
}

/// Somebody who is told what was refused.
#[derive(Clone)]
pub struct Refused(Arc<dyn Fn(&str) + Send + Sync>);

impl Refused {
    /// Calls `tell` with what an app or a service wanted, and why it was refused.
    pub fn new(tell: impl Fn(&str) + Send + Sync + 'static) -> Self {
        Self(Arc::new(tell))
    }

    pub(super) fn tell(&self, what: &str) {
        (self.0)(what);
    }
}

impl fmt::Debug for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Refused").finish_non_exhaustive()
    }
}

/// Something to be called.
#[derive(Clone)]
pub struct Hook(Arc<dyn Fn() + Send + Sync>);

impl Hook {
    /// Calls `call`.
    pub fn new(call: impl Fn() + Send + Sync + 'static) -> Self {
        Self(Arc::new(call))
    }

    pub(super) fn call(&self) {
        (self.0)();
    }
}

impl Default for Hook {
    fn default() -> Self {
        Self::new(|| {})
    }
}

impl fmt::Debug for Hook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hook").finish_non_exhaustive()
    }
}

/// How the process is started, each time: by [`Command::spawn`] itself, or by somebody who first
/// sees to it that the surroundings, which the process inherits, are right.
#[derive(Clone)]
pub struct Spawn(pub(super) Arc<Start>);

type Start = dyn Fn(&mut Command) -> io::Result<Child> + Send + Sync;

impl Spawn {
    /// Starts with `spawn`.
    pub fn with(spawn: impl Fn(&mut Command) -> io::Result<Child> + Send + Sync + 'static) -> Self {
        Self(Arc::new(spawn))
    }
}

impl Default for Spawn {
    fn default() -> Self {
        Self::with(Command::spawn)
    }
}

impl fmt::Debug for Spawn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Spawn").finish_non_exhaustive()
    }
}

/// What to serve on one bus.
#[derive(Clone, Debug)]
pub struct Service {
    /// A listening stream socket, which stays the agent's, too.
    pub listener: Arc<OwnedFd>,
    /// What passes.
    pub rules: RuleSet,
}

/// What to serve on the session and the system bus.
pub type Services = [Option<Service>; 2];

impl Service {
    /// Where it listens.
    pub(super) fn listener(&self) -> BorrowedFd<'_> {
        self.listener.as_fd()
    }
}

/// The service of one bus.
pub(super) fn service(services: &Services, bus: Bus) -> Option<&Service> {
    services.get(bus.index())?.as_ref()
}
