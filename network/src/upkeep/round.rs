//! One look at the network, and the repairs that follow from it.

use std::{collections::BTreeMap, time::Instant};

use super::{
    pace::Pace,
    plan::{Found, Kind, Loss},
};
use crate::{
    bridge::Bridge,
    error::NetworkError,
    netlink::{Link, NetlinkError},
    network::Network,
    port::Port,
};

/// Whether a repair waits for its turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Haste {
    /// A call needs it.
    AtOnce,
    /// When the same thing is taken again and again, it waits.
    Paced,
}

/// One look and what came of it.
pub(super) struct Round<'a> {
    network: &'a Network,
    haste: Haste,
    paces: BTreeMap<Kind, Pace>,
    now: Instant,
    /// What was missing and is there again.
    pub(super) done: Vec<Loss>,
    pub(super) failures: Vec<(Loss, NetworkError)>,
    /// When that is repaired which has to wait.
    pub(super) due: Option<Instant>,
}

impl<'a> Round<'a> {
    pub(super) fn new(network: &'a Network, haste: Haste, paces: &BTreeMap<Kind, Pace>) -> Self {
        Self {
            network,
            haste,
            paces: paces.clone(),
            now: Instant::now(),
            done: Vec::new(),
            failures: Vec::new(),
            due: None,
        }
    }

    /// The bridge, its addresses and forwarding.
    pub(super) fn host(&mut self, bridge: &mut Bridge, losses: &[Loss], found: &Found) {
        let of_host = |loss: &&Loss| matches!(loss.kind(), Some(Kind::Bridge | Kind::Forwarding));
        let lost: Vec<Loss> = losses.iter().filter(of_host).copied().collect();
        let may_make = bridge.settings().create && lost.contains(&Loss::Bridge);
        if !bridge.is_ours() && !may_make {
            let failures = lost.into_iter().map(|loss| {
                let error = match loss {
                    Loss::Address(address) => bridge.lacks_address(address, &found.addresses),
                    Loss::Up => bridge.is_down(),
                    _ => bridge.is_missing(),
                };
                (loss, error.into())
            });
            self.failures.extend(failures);
            return;
        }
        let mut turn = lost;
        turn.retain(|loss| self.may(*loss));
        let Some(first) = turn.first() else {
            return;
        };
        match bridge.restore() {
            Ok(()) => self.done.extend(turn),
            Err(error) => self.failures.push((*first, error.into())),
        }
    }

    /// Our rules in the host's firewall.
    pub(super) fn rules(&mut self, bridge: &mut Bridge) {
        let firewall = bridge.firewall();
        if firewall.is_current() || !self.may(Loss::Rules) {
            return;
        }
        match firewall.repair() {
            Ok(true) => self.done.push(Loss::Rules),
            Ok(false) => {}
            Err(error) => self.failures.push((Loss::Rules, error.into())),
        }
    }

    /// The containers' ports; `links` are the host's ends of their interfaces.
    pub(super) fn ports(
        &mut self,
        ports: &BTreeMap<i32, Port>,
        losses: &[Loss],
        links: &BTreeMap<i32, Link>,
    ) {
        // Without the bridge nothing can be connected.
        let mut failures = self.failures.iter();
        if failures.any(|(loss, _)| *loss == Loss::Bridge) {
            return;
        }
        for loss in losses {
            let (id, outcome) = match *loss {
                Loss::Interface(id) => {
                    let veth = self.network.veth(id);
                    (id, Err(NetlinkError::NoSuchLink(veth).into()))
                }
                Loss::Port(id) | Loss::Control(id) if self.may(*loss) => {
                    match (links.get(&id), ports.get(&id)) {
                        (Some(link), Some(port)) => (id, self.network.reconnect(id, link, *port)),
                        _ => continue,
                    }
                }
                _ => continue,
            };
            match outcome {
                Ok(()) => self.done.push(*loss),
                // It may have been removed in the meantime.
                Err(error) if self.network.ports().contains_key(&id) => {
                    self.failures.push((*loss, error));
                }
                Err(_) => {}
            }
        }
    }

    /// Whether something may be repaired now; otherwise it is noted when.
    fn may(&mut self, loss: Loss) -> bool {
        let pace = loss.kind().and_then(|kind| self.paces.get(&kind));
        match pace.and_then(Pace::due) {
            Some(due) if self.haste == Haste::Paced && due > self.now => {
                self.due = Some(self.due.map_or(due, |other| other.min(due)));
                false
            }
            _ => true,
        }
    }
}
