//! The agent's side: starts a proxy, sends it what to serve, keeps it alive.
//!
//! A thread per proxy reads what it says and starts it again when it dies: with the same listening
//! sockets, so that clients who connect meanwhile only wait. The proxy ends when the control socket
//! closes, which it also does when the agent is killed; unless somebody keeps a duplicate, with
//! which another agent goes on ([`Proxy::adopt`]).

mod error;
mod left;
mod options;
mod process;
mod shared;
mod supervisor;

pub use error::ClientError;
pub use left::{Left, Present};
pub use options::{BusAccess, Hook, Options, Refused, Service, Services, Spawn};
pub use process::SocketIdentity;

use std::{
    io,
    sync::{Arc, PoisonError},
    thread::JoinHandle,
    time::{Duration, Instant},
};

use shared::Shared;

/// Longest time that new rules may take to be in force, a restart of the proxy included.
const PATIENCE: Duration = Duration::from_secs(5);

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

    /// Goes on with the proxy process that an agent has left which has been killed, and makes it
    /// serve exactly `services`. Connections stay open. One that has ended, or does not speak this
    /// version of the protocol, is replaced.
    ///
    /// # Errors
    /// [`ClientError::Start`]
    pub fn adopt(options: Options, left: Left, services: Services) -> Result<Self, ClientError> {
        let (shared, supervisor) = supervisor::adopt(options, left, services)?;
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
        self.shared.lock().process().map(|(pid, _)| pid)
    }

    /// The process at present; none while it is being started again.
    ///
    /// # Errors
    /// dup(2)
    pub fn present(&self) -> io::Result<Option<Present>> {
        self.shared.lock().present()
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
