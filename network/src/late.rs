//! The network before it is there, and for as long as the agent runs.

use std::{
    future::Future,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use smol::Timer;

use crate::{
    bridge::BridgeError,
    host_names::HostNames,
    network::Network,
    settings::BridgeSettings,
    watch::{Changes, Watch, WatchError},
};

/// How long changes of the host's network are waited for after a first one: whoever reloads a
/// firewall or restarts a service makes many.
const SETTLE: Duration = Duration::from_millis(50);

/// The network, made ready as soon as that is possible: at the agent's start, or, if somebody else
/// makes the bridge and has not yet, when the first container is created.
#[derive(Debug)]
pub struct LateNetwork {
    settings: BridgeSettings,
    host_names: Arc<HostNames>,
    network: Mutex<Option<Arc<Network>>>,
}

/// Work that blocks; the result is when it is to be done again without an event.
pub type Upkeep = Box<dyn FnOnce() -> Option<Instant> + Send>;

impl LateNetwork {
    /// Nothing is done yet.
    #[must_use]
    pub fn new(settings: BridgeSettings) -> Self {
        let host_names = Arc::new(HostNames::new(settings.address_plan().subnets()));
        Self {
            settings,
            host_names,
            network: Mutex::new(None),
        }
    }

    /// The network, made ready now if it is not yet.
    ///
    /// # Errors
    /// [`BridgeError`].
    pub fn get(&self) -> Result<Arc<Network>, BridgeError> {
        let mut network = self.lock();
        if let Some(ready) = network.as_ref() {
            return Ok(ready.clone());
        }
        let names = self.host_names.clone();
        let ready = Arc::new(Network::with_names(self.settings.clone(), names)?);
        ready.warn_of_conflicts();
        *network = Some(ready.clone());
        Ok(ready)
    }

    /// The names in rules of all containers.
    #[must_use]
    pub fn host_names(&self) -> &Arc<HostNames> {
        &self.host_names
    }

    /// Undoes what was made ready (see [`Network::stop`]).
    ///
    /// # Errors
    /// [`BridgeError`].
    pub fn stop(&self) -> Result<(), BridgeError> {
        self.lock().take().map_or(Ok(()), |network| network.stop())
    }

    /// Follows the changes of the host's network as long as it is polled: sets up again what was
    /// taken (see [`Network::keep_up`]), and looks names up anew when the way out has changed.
    /// `unblock` does the work that blocks.
    ///
    /// # Errors
    /// [`WatchError`]: nothing is followed any more.
    pub async fn follow<F>(&self, unblock: impl Fn(Upkeep) -> F) -> Result<(), WatchError>
    where
        F: Future<Output = Option<Instant>>,
    {
        let mut watch = Watch::new(&self.settings.device)?;
        let mut due = None;
        // Whatever was there before it was watched.
        let mut missed = Changes::ALL_OF_OURS;
        loop {
            let again = async {
                match due {
                    Some(due) => drop(Timer::at(due).await),
                    None => std::future::pending().await,
                }
                Ok(Changes::ALL_OF_OURS)
            };
            let mut changes = smol::future::or(watch.changed(), again).await?;
            Timer::after(SETTLE).await;
            changes |= watch.drain()?;
            changes |= std::mem::take(&mut missed);
            if changes.host {
                self.host_names.network_changed();
            }
            let network = self.lock().clone();
            if let Some(network) = network {
                due = unblock(Box::new(move || network.keep_up(&changes))).await;
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<Arc<Network>>> {
        self.network.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
