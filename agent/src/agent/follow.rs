//! What changes on the host while containers run, and is followed in them.

use std::{io, sync::Arc, time::Duration};

use smol::{Timer, future::zip};

use super::{Agent, refused_packet::RefusedPacket, with};
use crate::{
    container::{Shared, facts::Facts},
    error_chain::Chain,
    host::kernel_log::KernelLog,
    runtime::unblock,
};

/// The ID of the gateway that has rules for packets.
const NETWORK: &str = "network";

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

    /// Has containers know of the packets that their rules refuse, as long as the kernel's log says
    /// so.
    pub async fn follow_refused_packets(&self) {
        if let Err(error) = self.read_kernel_log().await {
            log::warn!("log-refused: cannot read the kernel's log: {error}");
        }
    }

    async fn read_kernel_log(&self) -> io::Result<()> {
        let log = KernelLog::open()?;
        loop {
            let Some(packet) = RefusedPacket::parse(&log.next().await?) else {
                continue;
            };
            let slots = self.slots();
            let facts = slots.get(&packet.container).map(|slot| slot.facts.clone());
            drop(slots);
            // Containers of another agent may have the same ID.
            let is_ours = |facts: &Arc<Facts>| {
                let place = facts.place();
                place.is_some_and(|place| place.addresses.contains(&packet.own))
            };
            if let Some(facts) = facts.filter(is_ours) {
                facts.refused(NETWORK, &packet.what);
            }
        }
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
