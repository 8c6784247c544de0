//! What changes on the host while containers run, and is followed in them.

use std::{sync::Arc, time::Duration};

use smol::{Timer, future::zip};

use super::{Agent, with};
use crate::{container::Shared, error_chain::Chain, runtime::unblock};

/// How long changes of the host's files are waited for after a first one.
const CHANGES_PAUSE: Duration = Duration::from_millis(200);

impl Agent {
    /// Lets every container follow the host's devices, sockets, files, names and network, as
    /// long as the agent runs.
    pub async fn follow_host(&self) {
        let Ok(shared) = self.shared.wait().await else {
            return;
        };
        let made_anew = self.follow_devices_and_sockets(shared);
        let files = self.follow_host_files(shared);
        let names = self.follow_host_names(shared);
        zip(zip(made_anew, files), zip(names, follow_network(shared))).await;
    }

    /// Follows what is made anew or removed on the host, in every container.
    async fn follow_devices_and_sockets(&self, shared: &Shared) {
        while let Ok(()) = shared.watch.changed().await {
            self.refresh_gateways().await;
        }
    }

    /// Looks up the host names in rules, and lets every container follow what they stand for.
    async fn follow_host_names(&self, shared: &Shared) {
        let executor = shared.executor.clone();
        let spawn = |work: Box<dyn FnOnce() + Send>| executor.spawn(unblock(work)).detach();
        let changed = || self.refresh_gateways();
        shared.network.host_names().follow(spawn, changed).await;
    }

    /// Lets the gateways of every container follow what has changed on the host.
    async fn refresh_gateways(&self) {
        for (id, locked) in self.all() {
            let refreshed = with(id, locked, |container| {
                container.refresh_gateways();
                Ok(())
            });
            // One that was destroyed in the meantime has nothing to follow.
            let _ = refreshed.await;
        }
    }

    /// Follows changes of the host's files that containers see.
    async fn follow_host_files(&self, shared: &Arc<Shared>) {
        while let Ok(()) = shared.host_files.changed().await {
            // Changes rarely come alone: a package has many files.
            Timer::after(CHANGES_PAUSE).await;
            let shared = shared.clone();
            let names = shared.network.host_names().clone();
            unblock(move || shared.host_files.update()).await;
            // Name servers may be among them.
            names.network_changed();
        }
    }
}

/// Keeps the containers' network as it is to be, whatever others change on the host.
async fn follow_network(shared: &Shared) {
    if let Err(error) = shared.network.follow(unblock).await {
        log::error!(
            "the containers' network is looked after at calls only: {}",
            Chain(&error)
        );
    }
}
