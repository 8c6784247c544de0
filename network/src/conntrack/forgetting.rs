//! Forgets connections beside everything else: to look through the host's table of connections
//! takes tens of milliseconds where it is large, and nobody should wait for it.

use std::{
    net::IpAddr,
    sync::{Arc, Condvar, Mutex, MutexGuard, Once, PoisonError},
    thread,
};

use softwarecontainer_capability::error_chain::Chain;

use super::forget;

/// A thread that forgets connections, as long as there are some to forget.
#[derive(Debug, Default)]
pub(crate) struct Forgetting(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    done: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// Whose connections are to be forgotten.
    waiting: Vec<IpAddr>,
    working: bool,
}

impl Forgetting {
    /// Soon drops the connections of `addresses` from the table of the calling thread's network
    /// namespace. Without that they only stay too long, so a failure is told, once.
    pub(crate) fn begin(&self, addresses: &[IpAddr]) {
        let mut state = self.0.state();
        state.waiting.extend_from_slice(addresses);
        if std::mem::replace(&mut state.working, true) {
            return;
        }
        drop(state);
        let shared = self.0.clone();
        let thread = thread::Builder::new().name("conntrack".to_owned());
        // The thread belongs to the network namespace of the one that starts it.
        if let Err(error) = thread.spawn(move || shared.work()) {
            log::warn!("cannot start a thread that forgets connections: {error}");
            self.0.state().working = false;
        }
    }

    /// Waits until all are forgotten: from now on there may be new ones of the same addresses.
    pub(crate) fn wait(&self) {
        let working = |state: &mut State| state.working;
        let state = self.0.state();
        drop(self.0.done.wait_while(state, working));
    }
}

impl Shared {
    fn work(&self) {
        static TOLD: Once = Once::new();
        loop {
            let addresses = std::mem::take(&mut self.state().waiting);
            if let Err(error) = forget(&addresses) {
                TOLD.call_once(|| {
                    log::warn!(
                        "connections of containers stay in the host's table after their end: {}",
                        Chain(&error)
                    );
                });
            }
            let mut state = self.state();
            if state.waiting.is_empty() {
                state.working = false;
                self.done.notify_all();
                return;
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
