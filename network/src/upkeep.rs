//! Keeps what was set up as it is to be, whatever others do on the host: looks what is there, plans
//! what is missing, and sets that up again with what set it up at first.

mod pace;
mod plan;
pub(crate) mod repairs;
mod round;

use std::{collections::BTreeMap, time::Instant};

use softwarecontainer_capability::{error_chain::Chain, traffic::Direction};

use crate::{
    bridge::{self, Bridge},
    error::NetworkError,
    firewall::Family,
    netlink::{Link, Netlink, NetlinkError},
    network::Network,
    overlap,
    permission::{Peer, Permission},
    port::Port,
    shaping,
    subnet::Subnet,
    watch::{Changes, Controls},
};
use plan::{Found, Loss, Wanted};
use round::{Haste, Round};

impl Network {
    /// After a change of the host's network: repairs what is missing and ours to repair, and tells
    /// of the rest in the log.
    ///
    /// Returns when this has to be done again although nothing tells of a change: when somebody
    /// takes the same thing again and again, its repairs have pauses between them.
    pub fn keep_up(&self, changes: &Changes) -> Option<Instant> {
        if changes.host {
            let mut bridge = self.bridge();
            if self.is_stopped() {
                return None;
            }
            if let Err(error) = bridge.follow_addresses() {
                log::warn!("rules for the host's addresses: {}", Chain(&error));
            }
            drop(bridge);
            self.warn_of_conflicts();
        }
        // What could not be repaired is told in the log.
        self.repair(Haste::Paced, Extent::All(&changes.controls)).0
    }

    /// Tells whether the containers' networks are in use elsewhere on the host.
    pub(crate) fn warn_of_conflicts(&self) {
        let mut repairs = self.repairs();
        match overlap::in_use(self.device()) {
            Ok(used) => {
                let conflicts = overlap::conflicts(self.plan(), used);
                repairs.tell_conflicts(self.device(), conflicts);
            }
            Err(error) => log::warn!("{}", Chain(&error)),
        }
    }

    /// Before a container is created: repairs what is missing.
    ///
    /// # Errors
    /// [`NetworkError`]: there is no bridge.
    pub fn require_bridge(&self) -> Result<(), NetworkError> {
        self.require(Extent::Host, |loss| {
            matches!(loss, Loss::Bridge | Loss::Address(_))
        })
    }

    /// Before the network of container `id` is opened or changed: repairs what is missing.
    ///
    /// # Errors
    /// [`NetworkError`]: it could not be repaired, or that is left to somebody else.
    pub(crate) fn require_path(&self, id: i32) -> Result<(), NetworkError> {
        self.require(Extent::Container(id), |loss| match loss {
            Loss::Port(other) | Loss::Control(other) | Loss::Interface(other) => other == id,
            _ => true,
        })
    }

    /// Before a container may call beyond the host on a bridge of others: they may have left
    /// forwarding off.
    ///
    /// # Errors
    /// [`NetworkError::NoForwarding`].
    pub(crate) fn require_way_out(&self, permissions: &[Permission]) -> Result<(), NetworkError> {
        let mut bridge = self.bridge();
        if bridge.is_ours() {
            // It is on, or could not be switched on.
            return Ok(());
        }
        let on = bridge::forwarding(self.device())?;
        let is_near = |subnet: &Subnet| self.plan().subnets().any(|near| near.overlaps(subnet));
        for permission in permissions {
            let family = match permission.peer {
                _ if permission.direction == Direction::Incoming => continue,
                Peer::Anybody => Family::V4,
                Peer::Subnet(subnet) if is_near(&subnet) => continue,
                Peer::Subnet(subnet) if bridge.firewall().has_address_in(&subnet) => continue,
                Peer::Subnet(subnet) => subnet.family(),
            };
            if !on.contains(&family) {
                let switch = bridge::forwarding_switch(family);
                return Err(NetworkError::NoForwarding(switch, self.device().to_owned()));
            }
        }
        Ok(())
    }

    fn require(
        &self,
        extent: Extent<'_>,
        matters: impl Fn(Loss) -> bool,
    ) -> Result<(), NetworkError> {
        if self.is_overtaken() {
            self.repairs().tell_legacy();
        }
        let (_, failures) = self.repair(Haste::AtOnce, extent);
        let mut failures = failures.into_iter();
        match failures.find(|(loss, _)| matters(*loss)) {
            Some((_, error)) => Err(error),
            None => Ok(()),
        }
    }

    fn repair(
        &self,
        haste: Haste,
        extent: Extent<'_>,
    ) -> (Option<Instant>, Vec<(Loss, NetworkError)>) {
        let mut repairs = self.repairs();
        let mut bridge = self.bridge();
        if self.is_stopped() {
            // Its end is a change like others.
            return (None, Vec::new());
        }
        let ports = self.ports().clone();
        let mut round = Round::new(self, haste, repairs.paces());
        let mut looked = look(self, &bridge, &ports, extent);
        let is_all = matches!(extent, Extent::All(_));
        if !is_all && looked.as_ref().is_ok_and(|(losses, _)| !losses.is_empty()) {
            // Whoever took this may have taken more.
            looked = look(self, &bridge, &ports, Extent::All(&Controls::NONE));
        }
        match looked {
            Ok((losses, found)) => {
                round.host(&mut bridge, &losses, &found);
                round.rules(&mut bridge);
                round.ports(&ports, &losses, &found.ports);
            }
            Err(error) => round.failures.push((Loss::Bridge, error)),
        }
        let Round {
            done,
            failures,
            mut due,
            ..
        } = round;
        let now = Instant::now();
        repairs.tell_done(self.device(), &done, now);
        for retry in repairs.tell_failures(self.device(), &failures, now) {
            due = Some(due.map_or(retry, |due| due.min(retry)));
        }
        (due, failures)
    }
}

/// What is looked at. With many containers a call would wait for the lists of all of them, and the
/// kernel tells of each change.
#[derive(Clone, Copy, Debug)]
enum Extent<'a> {
    /// The bridge and the host's settings.
    Host,
    /// These and the port of a container.
    Container(i32),
    /// These and all ports, and traffic control at some of them.
    All(&'a Controls),
}

impl Extent<'_> {
    fn links(self, network: &Network, netlink: &Netlink) -> Result<Vec<Link>, NetlinkError> {
        let mut names = vec![network.device().to_owned()];
        match self {
            Self::All(_) => return netlink.links(),
            Self::Container(id) => names.push(network.veth(id)),
            Self::Host => {}
        }
        let found = names.iter().map(|name| netlink.find_link(name));
        found.filter_map(Result::transpose).collect()
    }

    fn includes(self, container: i32) -> bool {
        match self {
            Self::Host => false,
            Self::Container(id) => id == container,
            Self::All(_) => true,
        }
    }
}

/// What of the network is missing.
fn look(
    network: &Network,
    bridge: &Bridge,
    ports: &BTreeMap<i32, Port>,
    extent: Extent<'_>,
) -> Result<(Vec<Loss>, Found), NetworkError> {
    let netlink = Netlink::open()?;
    let links = extent.links(network, &netlink)?;
    let mut ports = ports.clone();
    ports.retain(|id, _| extent.includes(*id));
    let device = links.iter().find(|link| link.name == network.device());
    let device = device.filter(|link| link.is_bridge());
    let addresses = match device {
        Some(link) => netlink.addresses(link)?,
        None => Vec::new(),
    };
    let of_container = |id: &i32| {
        let name = network.veth(*id);
        let link = links.iter().find(|link| link.name == name)?;
        Some((*id, link.clone()))
    };
    let connected: BTreeMap<i32, Link> = ports.keys().filter_map(of_container).collect();
    let controls = match extent {
        Extent::All(controls) => {
            network.remove_orphans(&netlink, &links);
            let mut suspects = connected.clone();
            suspects.retain(|_, link| controls.include(&link.name));
            shaping::found(network, &netlink, &suspects, &links)?
        }
        _ => BTreeMap::new(),
    };
    let found = Found {
        bridge: device.cloned(),
        addresses,
        forwarding: bridge::forwarding(network.device())?,
        ports: connected,
        controls,
    };
    let settings = bridge.settings();
    let forwarding = if bridge.is_ours() {
        settings.families()
    } else {
        Vec::new()
    };
    let wanted = Wanted {
        addresses: &settings.addresses(),
        forwarding: &forwarding,
        containers: &ports,
    };
    Ok((plan::losses(&wanted, &found), found))
}
