//! Which addresses a container gets: all of them follow from the bridge's address and the
//! container's ID.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::{
    netlink::{InterfaceAddress, MacAddress},
    subnet::Subnet,
};

/// The bridge's addresses, from which those of the containers are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AddressPlan {
    /// IPv4 address of the bridge.
    pub v4: Ipv4Addr,
    /// Length of the IPv4 prefix, 1 to 31.
    pub prefix4: u8,
    /// IPv6 address and prefix length of the bridge, if containers are to have IPv6 addresses.
    pub v6: Option<(Ipv6Addr, u8)>,
}

/// What one container gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ContainerAddresses {
    /// Hardware address of eth0. It follows from the IPv4 address, so that a neighbour's cache is
    /// right also when an ID is used again.
    pub mac: MacAddress,
    /// IPv4 address.
    pub v4: Ipv4Addr,
    /// Length of its prefix in bits.
    pub prefix4: u8,
    /// IPv6 address, if the bridge has one.
    pub v6: Option<(Ipv6Addr, u8)>,
}

/// No address is left for a container.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "no address is left for container {id}: the network of the bridge, {bridge}, has none {} behind it",
    u64::from(*id) + 1
)]
pub struct AddressesUsedUp {
    id: u32,
    bridge: InterfaceAddress,
}

/// The hardware address that goes with an IPv4 address: locally administered, unicast; the second
/// byte tells ours from those that the kernel makes up.
#[must_use]
pub fn mac_of(address: Ipv4Addr) -> MacAddress {
    let [a, b, c, d] = address.octets();
    MacAddress([0x02, 0x5c, a, b, c, d])
}

impl AddressPlan {
    /// The networks in which containers have addresses, link-local ones included.
    pub(crate) fn subnets(&self) -> impl Iterator<Item = Subnet> {
        let link_local = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0);
        let own = [
            Some((IpAddr::V4(self.v4), self.prefix4)),
            self.v6.map(|(address, prefix)| (address.into(), prefix)),
            Some((link_local.into(), 10)),
        ];
        own.into_iter()
            .flatten()
            .map(|(address, prefix)| Subnet::new(address, prefix))
    }

    /// The addresses of container `id`: the bridge's plus `id` plus one.
    ///
    /// # Errors
    /// The address would lie outside of the bridge's network, or be its broadcast address.
    pub fn container(&self, id: i32) -> Result<ContainerAddresses, AddressesUsedUp> {
        let id = id.unsigned_abs();
        let used_up = |address: IpAddr, prefix| AddressesUsedUp {
            id,
            bridge: InterfaceAddress { address, prefix },
        };
        let v4 = self
            .v4_of(id)
            .ok_or_else(|| used_up(self.v4.into(), self.prefix4))?;
        let v6 = match self.v6 {
            None => None,
            Some((bridge, prefix)) => {
                let v6 = v6_of(bridge, prefix, id).ok_or_else(|| used_up(bridge.into(), prefix))?;
                Some((v6, prefix))
            }
        };
        Ok(ContainerAddresses {
            mac: mac_of(v4),
            v4,
            prefix4: self.prefix4,
            v6,
        })
    }

    fn v4_of(&self, id: u32) -> Option<Ipv4Addr> {
        let bridge = u32::from(self.v4);
        let hosts = u32::MAX.checked_shr(u32::from(self.prefix4)).unwrap_or(0);
        let address = bridge.checked_add(id)?.checked_add(1)?;
        let in_network = address & !hosts == bridge & !hosts;
        let broadcast = self.prefix4 < 31 && address & hosts == hosts;
        (in_network && !broadcast).then(|| Ipv4Addr::from(address))
    }
}

impl ContainerAddresses {
    /// The link-local address that goes with the hardware address.
    #[must_use]
    pub fn link_local(&self) -> Ipv6Addr {
        link_local(self.mac)
    }

    /// All of them.
    pub(crate) fn all(&self) -> Vec<IpAddr> {
        let v6 = self.v6.map(|(address, _)| IpAddr::V6(address));
        let own = [self.v4.into(), self.link_local().into()];
        own.into_iter().chain(v6).collect()
    }
}

/// The link-local address that the kernel derives from a hardware address (RFC 4291, appendix A).
pub(crate) fn link_local(mac: MacAddress) -> Ipv6Addr {
    let [a, b, c, d, e, f] = mac.0;
    let end = [[a ^ 2, b], [c, 0xff], [0xfe, d], [e, f]].map(u16::from_be_bytes);
    let [w, x, y, z] = end;
    Ipv6Addr::new(0xfe80, 0, 0, 0, w, x, y, z)
}

fn v6_of(bridge: Ipv6Addr, prefix: u8, id: u32) -> Option<Ipv6Addr> {
    let bridge = u128::from(bridge);
    let hosts = u128::MAX.checked_shr(u32::from(prefix)).unwrap_or(0);
    let address = bridge.checked_add(u128::from(id))?.checked_add(1)?;
    (address & !hosts == bridge & !hosts).then(|| Ipv6Addr::from(address))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(v4: &str, prefix4: u8) -> AddressPlan {
        AddressPlan {
            v4: v4.parse().unwrap(),
            prefix4,
            v6: None,
        }
    }

    #[test]
    fn a_container_follows_the_bridge_by_its_id_and_one() {
        let plan = plan("10.0.3.1", 24);
        let first = plan.container(0).unwrap();
        assert_eq!(first.v4, Ipv4Addr::new(10, 0, 3, 2));
        assert_eq!(first.mac.to_string(), "02:5c:0a:00:03:02");
        assert_eq!(first.link_local().to_string(), "fe80::5c:aff:fe00:302");
        assert_eq!(
            plan.container(252).unwrap().v4,
            Ipv4Addr::new(10, 0, 3, 254)
        );
    }

    #[test]
    fn the_broadcast_address_and_those_behind_it_are_not_used() {
        let error = plan("10.0.3.1", 24).container(253).unwrap_err();
        assert_eq!(
            error.to_string(),
            "no address is left for container 253: the network of the bridge, 10.0.3.1/24, has none 254 behind it"
        );
        assert!(plan("10.0.3.1", 24).container(254).is_err());
        assert!(plan("10.0.3.1", 24).container(i32::MAX).is_err());
        assert!(plan("255.255.255.254", 1).container(5).is_err());
    }

    #[test]
    fn the_smallest_networks_hold_what_they_can() {
        assert!(plan("10.0.3.1", 30).container(0).is_ok());
        assert!(plan("10.0.3.1", 30).container(1).is_err());
        assert!(plan("10.0.3.0", 31).container(0).is_ok());
        assert!(plan("10.0.3.1", 31).container(0).is_err());
    }

    #[test]
    fn ipv6_is_counted_the_same_way() {
        let plan = AddressPlan {
            v6: Some(("fd00:3::1".parse().unwrap(), 64)),
            ..plan("10.0.3.1", 24)
        };
        assert_eq!(
            plan.container(4).unwrap().v6,
            Some(("fd00:3::6".parse().unwrap(), 64))
        );
        let small = AddressPlan {
            v6: Some(("fd00:3::1".parse().unwrap(), 126)),
            ..plan
        };
        assert!(small.container(1).is_ok());
        assert!(small.container(2).is_err());
    }
}
