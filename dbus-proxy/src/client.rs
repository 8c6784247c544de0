//! The agent's side: starts a proxy, sends it what to serve, keeps it alive.
//!
//! A thread per proxy reads what it says and starts it again when it dies: with the same listening
//! sockets, so that clients who connect meanwhile only wait. The proxy ends when the control socket
//! closes, which it also does when the agent is killed.

mod process;
mod shared;
mod supervisor;

use std::{
    fmt, io,
    os::fd::{AsFd, OwnedFd},
    path::PathBuf,
    process::{Child, Command},
    sync::{Arc, PoisonError},
    thread::JoinHandle,
    time::{Duration, Instant},
};

use crate::{address::SocketAddress, control::Bus, rule::RuleSet};
use shared::Shared;

/// Longest time that new rules may take to be in force, a restart of the proxy included.
const PATIENCE: Duration = Duration::from_secs(5);

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
}

/// How the process is started, each time: by [`Command::spawn`] itself, or by somebody who first
/// sees to it that the surroundings, which the process inherits, are right.
#[derive(Clone)]
pub struct Spawn(Arc<Start>);

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

/// Why a proxy does not do what it shall.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// It cannot be started.
    #[error("cannot start the D-Bus proxy {}", program.display())]
    Start {
        /// The executable.
        program: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// It did not take the new rules in time, and the old ones hold.
    #[error("the D-Bus proxy does not answer{}", suffix(last.as_deref()))]
    NoAnswer {
        /// What it said last, if anything.
        last: Option<String>,
    },
}

fn suffix(last: Option<&str>) -> String {
    last.map_or_else(String::new, |text| format!(": {text}"))
}

/// A running proxy. Dropping it ends the proxy.
#[derive(Debug)]
pub struct Proxy {
    shared: Arc<Shared>,
    supervisor: Option<JoinHandle<()>>,
}

impl Proxy {
    /// Starts a proxy that serves nothing yet.
    ///
    /// # Errors
    /// [`ClientError::Start`]
    pub fn start(options: Options) -> Result<Self, ClientError> {
        let (shared, supervisor) = supervisor::start(options)?;
        Ok(Self {
            shared,
            supervisor: Some(supervisor),
        })
    }

    /// Makes the proxy serve exactly this, and returns when it does. Connections stay open where a
    /// bus is still served. If it fails, what was served before is served on.
    ///
    /// # Errors
    /// [`ClientError::NoAnswer`]
    pub fn serve(&self, services: Services) -> Result<(), ClientError> {
        let deadline = Instant::now() + PATIENCE;
        let mut state = self.shared.lock();
        let before = std::mem::replace(&mut state.services, services);
        let number = state.send();
        while state.acknowledged < number {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                state.services = before;
                state.restart();
                return Err(ClientError::NoAnswer {
                    last: state.last_error.take(),
                });
            }
            let woken = self.shared.changed.wait_timeout(state, left);
            state = woken.unwrap_or_else(PoisonError::into_inner).0;
        }
        Ok(())
    }

    /// The process ID at present; none while it is being started again.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        self.shared.lock().pid
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.shared.lock().stop();
        self.shared.changed.notify_all();
        if let Some(supervisor) = self.supervisor.take() {
            // It does not panic, and if it did, it would have nothing to tell.
            let _ = supervisor.join();
        }
    }
}

impl Service {
    fn listener(&self) -> std::os::fd::BorrowedFd<'_> {
        self.listener.as_fd()
    }
}

/// The service of one bus.
fn service(services: &Services, bus: Bus) -> Option<&Service> {
    services.get(bus.index())?.as_ref()
}
