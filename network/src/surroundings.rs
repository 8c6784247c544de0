//! What a container's firewall has to know of the bridge and the host behind it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use softwarecontainer_capability::traffic::Ports;

use crate::{
    addresses::{AddressPlan, link_local, mac_of},
    firewall::{Family, Match},
    settings::BridgeSettings,
    subnet::Subnet,
};

/// Multicast and broadcast: they go no further than the bridge.
const TO_SEVERAL: [(IpAddr, u8); 3] = [
    (IpAddr::V4(Ipv4Addr::new(224, 0, 0, 0)), 4),
    (IpAddr::V4(Ipv4Addr::BROADCAST), 32),
    (IpAddr::V6(Ipv6Addr::new(0xff00, 0, 0, 0, 0, 0, 0, 0)), 8),
];

/// What is near a container: the host, and other containers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Surroundings {
    /// The host's addresses on the bridge.
    bridge: Vec<IpAddr>,
    /// The networks on the bridge.
    near: Vec<Subnet>,
    /// The host's ports that every container may use that may use such a port outside.
    host_ports: Vec<u16>,
}

impl Surroundings {
    pub(crate) fn new(settings: &BridgeSettings, plan: &AddressPlan) -> Self {
        let own = link_local(mac_of(settings.ip));
        let addresses = settings.addresses().into_iter().map(|one| one.address);
        let several = TO_SEVERAL.map(|(address, prefix)| Subnet::new(address, prefix));
        Self {
            bridge: addresses.chain([own.into()]).collect(),
            near: plan.subnets().chain(several).collect(),
            host_ports: settings.host_ports.clone(),
        }
    }

    pub(crate) fn bridge(&self) -> &[IpAddr] {
        &self.bridge
    }

    pub(crate) fn bridge_addresses(&self, family: Family) -> impl Iterator<Item = IpAddr> {
        let of_family = move |one: &IpAddr| one.is_ipv4() == (family == Family::V4);
        self.bridge.iter().copied().filter(of_family)
    }

    pub(crate) fn near(&self, family: Family) -> impl Iterator<Item = Subnet> {
        let all = self.near.iter().copied();
        all.filter(move |one| one.family() == family)
    }

    /// Packets to the ports of the host that are open for all.
    pub(crate) fn open_ports(&self) -> impl Iterator<Item = Match> {
        open_ports(&self.host_ports)
    }
}

/// TCP and UDP to some ports.
pub(crate) fn open_ports(ports: &[u16]) -> impl Iterator<Item = Match> {
    let ports = ports.iter().filter_map(|port| Ports::new(*port, *port));
    ports.flat_map(|port| [Match::Tcp(port), Match::Udp(port)])
}
