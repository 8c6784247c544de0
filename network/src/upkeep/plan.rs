//! What of the network is missing: a comparison of what was set up with what is there.

use std::{collections::BTreeMap, fmt};

use crate::{
    firewall::Family,
    netlink::{InterfaceAddress, Link},
    port::{Control, Port},
};

/// What should be there.
#[derive(Debug)]
pub(super) struct Wanted<'a> {
    /// The bridge's addresses.
    pub(super) addresses: &'a [InterfaceAddress],
    /// In which families packets are to be forwarded; none if that is left to somebody else.
    pub(super) forwarding: &'a [Family],
    /// The containers that are to be on the bridge.
    pub(super) containers: &'a BTreeMap<i32, Port>,
}

/// What is there.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) bridge: Option<Link>,
    /// The bridge's.
    pub(super) addresses: Vec<InterfaceAddress>,
    pub(super) forwarding: Vec<Family>,
    /// The host's ends of containers' interfaces.
    pub(super) ports: BTreeMap<i32, Link>,
    /// What traffic control does there, as far as it was looked at.
    pub(super) controls: BTreeMap<i32, Control>,
}

/// Something that was set up and is not there any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Loss {
    /// The whole bridge.
    Bridge,
    /// The bridge was set down.
    Up,
    /// An address of the bridge.
    Address(InterfaceAddress),
    /// Forwarding was switched off.
    Forwarding(Family),
    /// A container's interface is no port of the bridge any more, or down.
    Port(i32),
    /// Traffic control at a container's port is not what it was.
    Control(i32),
    /// A container's interface does not exist any more.
    Interface(i32),
    /// Rules of ours in the host's firewall.
    Rules,
}

/// Losses that are repaired together, and counted together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    Bridge,
    Forwarding,
    Ports,
    Rules,
}

impl Loss {
    /// `None`: it cannot be made again.
    pub(super) fn kind(self) -> Option<Kind> {
        match self {
            Self::Bridge | Self::Up | Self::Address(_) => Some(Kind::Bridge),
            Self::Forwarding(_) => Some(Kind::Forwarding),
            Self::Port(_) | Self::Control(_) => Some(Kind::Ports),
            Self::Rules => Some(Kind::Rules),
            Self::Interface(_) => None,
        }
    }
}

impl fmt::Display for Loss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bridge => f.write_str("the bridge did not exist"),
            Self::Up => f.write_str("the bridge was down"),
            Self::Address(address) => write!(f, "the bridge lacked its address {address}"),
            Self::Forwarding(Family::V4) => f.write_str("forwarding of IPv4 was off"),
            Self::Forwarding(Family::V6) => f.write_str("forwarding of IPv6 was off"),
            Self::Port(id) => write!(f, "container {id} was not connected to the bridge"),
            Self::Control(id) => write!(
                f,
                "the filters or rates of container {id} were changed (tc)"
            ),
            Self::Interface(id) => write!(f, "the interface of container {id} did not exist"),
            Self::Rules => f.write_str("rules of ours were missing in the host's firewall"),
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Bridge => "the bridge or its address",
            Self::Forwarding => "forwarding",
            Self::Ports => "the containers' ports",
            Self::Rules => "the firewall's rules",
        })
    }
}

/// What is missing, in the order in which it has to be made again.
pub(super) fn losses(wanted: &Wanted<'_>, found: &Found) -> Vec<Loss> {
    let mut losses = Vec::new();
    match &found.bridge {
        None => losses.push(Loss::Bridge),
        Some(bridge) if !bridge.up => losses.push(Loss::Up),
        Some(_) => {}
    }
    if found.bridge.is_some() {
        let missing = wanted.addresses.iter();
        let missing = missing.filter(|one| !found.addresses.contains(one));
        losses.extend(missing.map(|one| Loss::Address(*one)));
    }
    let off = wanted.forwarding.iter();
    let off = off.filter(|one| !found.forwarding.contains(one));
    losses.extend(off.map(|one| Loss::Forwarding(*one)));
    let bridge = found.bridge.as_ref().map(|bridge| bridge.index);
    for (id, port_wanted) in wanted.containers {
        match found.ports.get(id) {
            None => losses.push(Loss::Interface(*id)),
            Some(port) if bridge.is_none() || port.master != bridge || !port.up => {
                losses.push(Loss::Port(*id));
            }
            Some(_) if !is_controlled(*port_wanted, found.controls.get(id)) => {
                losses.push(Loss::Control(*id));
            }
            Some(_) => {}
        }
    }
    losses.sort();
    losses
}

/// Whether traffic control does at a port what it should; what was not looked at is well.
fn is_controlled(wanted: Port, found: Option<&Control>) -> bool {
    let Some(found) = found else {
        return true;
    };
    // Where no rate is wanted, an integrator may have set one.
    let fits = |wanted: Option<u32>, found| wanted.is_none() || wanted == found;
    let rates = wanted.rates();
    found.filtered
        && fits(rates.egress, found.rates.egress)
        && fits(rates.ingress, found.rates.ingress)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rate_limits::RateLimits;

    const ADDRESS: InterfaceAddress = InterfaceAddress {
        address: std::net::IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 3, 1)),
        prefix: 24,
    };

    const RATES: RateLimits = RateLimits {
        egress: Some(250_000),
        ingress: None,
    };
    const OPEN: Port = Port::Open {
        isolated: true,
        rates: RATES,
    };
    const CONTROL: Control = Control {
        filtered: true,
        rates: RATES,
    };

    fn link(index: i32, master: Option<i32>) -> Link {
        Link {
            index,
            name: format!("link{index}"),
            up: true,
            running: true,
            mtu: None,
            kind: None,
            alias: None,
            master,
        }
    }

    fn healthy() -> Found {
        Found {
            bridge: Some(link(7, None)),
            addresses: vec![ADDRESS],
            forwarding: vec![Family::V4],
            ports: BTreeMap::from([(0, link(8, Some(7))), (3, link(9, Some(7)))]),
            controls: BTreeMap::from([(0, CONTROL), (3, CONTROL)]),
        }
    }

    fn missing(found: &Found) -> Vec<Loss> {
        let wanted = Wanted {
            addresses: &[ADDRESS],
            forwarding: &[Family::V4],
            containers: &BTreeMap::from([(0, Port::Closed), (3, OPEN)]),
        };
        losses(&wanted, found)
    }

    #[test]
    fn nothing_is_missing_on_a_host_that_was_left_alone() {
        assert_eq!(missing(&healthy()), []);
    }

    #[test]
    fn what_others_add_is_no_loss() {
        let mut found = healthy();
        found.addresses.insert(
            0,
            InterfaceAddress {
                prefix: 16,
                ..ADDRESS
            },
        );
        found.forwarding.push(Family::V6);
        found.ports.insert(5, link(20, None));
        assert_eq!(missing(&found), []);
    }

    #[test]
    fn a_filter_or_a_rate_that_others_changed_is_found() {
        let mut found = healthy();
        found.controls.get_mut(&3).unwrap().rates.egress = Some(500_000);
        assert_eq!(missing(&found), [Loss::Control(3)]);
        found.controls.get_mut(&3).unwrap().rates.egress = None;
        assert_eq!(missing(&found), [Loss::Control(3)]);
        let mut found = healthy();
        found.controls.get_mut(&0).unwrap().filtered = false;
        assert_eq!(missing(&found), [Loss::Control(0)]);
        // Not looked at.
        found.controls.clear();
        assert_eq!(missing(&found), []);
    }

    #[test]
    fn a_deleted_bridge_takes_its_ports_along() {
        let mut found = healthy();
        found.bridge = None;
        found.addresses.clear();
        assert_eq!(
            missing(&found),
            [Loss::Bridge, Loss::Port(0), Loss::Port(3)]
        );
        // Made again by somebody, but empty.
        found.bridge = Some(link(30, None));
        assert_eq!(
            missing(&found),
            [Loss::Address(ADDRESS), Loss::Port(0), Loss::Port(3)]
        );
    }

    #[test]
    fn each_thing_that_is_taken_is_found() {
        let mut found = healthy();
        found.addresses.clear();
        assert_eq!(missing(&found), [Loss::Address(ADDRESS)]);

        let mut found = healthy();
        found.forwarding.clear();
        assert_eq!(missing(&found), [Loss::Forwarding(Family::V4)]);

        let mut found = healthy();
        found.bridge.as_mut().unwrap().up = false;
        assert_eq!(missing(&found), [Loss::Up]);

        let mut found = healthy();
        found.ports.get_mut(&3).unwrap().master = None;
        assert_eq!(missing(&found), [Loss::Port(3)]);
        found.ports.get_mut(&3).unwrap().master = Some(99);
        assert_eq!(missing(&found), [Loss::Port(3)]);
        found.ports.get_mut(&3).unwrap().master = Some(7);
        found.ports.get_mut(&3).unwrap().up = false;
        assert_eq!(missing(&found), [Loss::Port(3)]);
        found.ports.remove(&3);
        assert_eq!(missing(&found), [Loss::Interface(3)]);
    }
}
