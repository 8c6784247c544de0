//! What an integrator decides about the network.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::{
    addresses::AddressPlan,
    firewall::{Backend, Family},
    limits::ConnectionSettings,
    netlink::InterfaceAddress,
};

/// The bridge that every container with network access is connected to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BridgeSettings {
    /// The bridge is made if it is absent; otherwise its absence is an error.
    pub create: bool,
    /// Name of the network device.
    pub device: String,
    /// Address of the bridge, and default gateway of the containers.
    pub ip: Ipv4Addr,
    /// If not empty, the first of these whose network is used nowhere else on the host takes the
    /// place of [`Self::ip`] when the bridge is made ready.
    pub candidates: Vec<Ipv4Addr>,
    /// Number of leading bits that all addresses of the network share, 1 to 31.
    pub prefix_len: u8,
    /// Address of the network.
    pub network: Ipv4Addr,
    /// IPv6 address of the bridge and its prefix length, 1 to 127. `None`: containers get
    /// link-local IPv6 addresses only.
    pub ip6: Option<(Ipv6Addr, u8)>,
    /// Ports of the host, TCP and UDP, that a container may use whose rules allow them for the
    /// world outside.
    pub host_ports: Vec<u16>,
    /// The kernel's log is to tell what containers may not send or receive.
    pub log_refused: bool,
    /// How many connections containers may begin.
    pub connections: ConnectionSettings,
    /// Who puts rules into the kernel.
    pub firewall: Backend,
}

impl Default for BridgeSettings {
    fn default() -> Self {
        Self {
            create: true,
            device: "lxcbr0".to_owned(),
            ip: Ipv4Addr::new(10, 0, 3, 1),
            candidates: Vec::new(),
            prefix_len: 24,
            network: Ipv4Addr::new(10, 0, 3, 0),
            ip6: None,
            // A resolver may listen there.
            host_ports: vec![53],
            log_refused: false,
            connections: ConnectionSettings::default(),
            firewall: Backend::default(),
        }
    }
}

impl BridgeSettings {
    /// The netmask that `prefix_len` stands for.
    #[must_use]
    pub fn netmask(&self) -> Ipv4Addr {
        Ipv4Addr::from_bits(
            u32::MAX
                .checked_shl(32_u32.saturating_sub(self.prefix_len.into()))
                .unwrap_or(0),
        )
    }

    /// The last address of the network, which is its broadcast address in all networks but those of
    /// two addresses.
    #[must_use]
    pub fn last_address(&self) -> Ipv4Addr {
        self.network | !self.netmask()
    }

    /// How containers' addresses are counted.
    pub(crate) fn address_plan(&self) -> AddressPlan {
        AddressPlan {
            v4: self.ip,
            prefix4: self.prefix_len,
            v6: self.ip6,
        }
    }

    /// The addresses that the bridge has.
    pub(crate) fn addresses(&self) -> Vec<InterfaceAddress> {
        let v4 = InterfaceAddress {
            address: IpAddr::V4(self.ip),
            prefix: self.prefix_len,
        };
        let v6 = self.ip6.map(|(address, prefix)| InterfaceAddress {
            address: IpAddr::V6(address),
            prefix,
        });
        std::iter::once(v4).chain(v6).collect()
    }

    /// The families in which containers have addresses that reach beyond the bridge.
    pub(crate) fn families(&self) -> Vec<Family> {
        std::iter::once(Family::V4)
            .chain(self.ip6.map(|_| Family::V6))
            .collect()
    }
}
