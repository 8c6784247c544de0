//! Networks of addresses.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

use crate::firewall::Family;

/// Every address that begins with the same `prefix` bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Subnet {
    address: IpAddr,
    prefix: u8,
}

impl Subnet {
    /// The network that an address is in, with `prefix` bits in common; of the bits behind them
    /// nothing is kept.
    #[must_use]
    pub fn new(address: IpAddr, prefix: u8) -> Self {
        let address = match address {
            IpAddr::V4(v4) => {
                let hosts = u32::MAX.checked_shr(prefix.into()).unwrap_or(0);
                IpAddr::V4(Ipv4Addr::from(u32::from(v4) & !hosts))
            }
            IpAddr::V6(v6) => {
                let hosts = u128::MAX.checked_shr(prefix.into()).unwrap_or(0);
                IpAddr::V6(Ipv6Addr::from(u128::from(v6) & !hosts))
            }
        };
        Self { address, prefix }
    }

    /// A single address.
    #[must_use]
    pub fn host(address: IpAddr) -> Self {
        let prefix = if address.is_ipv4() { 32 } else { 128 };
        Self { address, prefix }
    }

    /// Whether the two have addresses in common: whether they agree in the shorter prefix.
    #[must_use]
    pub fn overlaps(&self, other: &Self) -> bool {
        let shorter = self.prefix.min(other.prefix);
        let same_family = self.address.is_ipv4() == other.address.is_ipv4();
        same_family
            && Self::new(self.address, shorter).address == Self::new(other.address, shorter).address
    }

    pub(crate) fn address(&self) -> IpAddr {
        self.address
    }

    /// How many bits all addresses have in common.
    pub(crate) fn prefix(&self) -> u8 {
        self.prefix
    }

    pub(crate) fn contains(&self, address: IpAddr) -> bool {
        self.overlaps(&Self::host(address))
    }

    pub(crate) fn family(&self) -> Family {
        match self.address {
            IpAddr::V4(_) => Family::V4,
            IpAddr::V6(_) => Family::V6,
        }
    }
}

impl fmt::Display for Subnet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn subnet(address: &str, prefix: u8) -> Subnet {
        Subnet::new(address.parse().unwrap(), prefix)
    }

    #[test]
    fn bits_behind_the_prefix_do_not_count() {
        assert_eq!(subnet("10.0.3.1", 24).to_string(), "10.0.3.0/24");
        assert_eq!(subnet("10.0.3.1", 0).to_string(), "0.0.0.0/0");
        assert_eq!(subnet("fd00:3::1", 64).to_string(), "fd00:3::/64");
        assert_eq!(subnet("10.0.3.1", 32), Subnet::host([10, 0, 3, 1].into()));
    }

    #[test]
    fn networks_overlap_when_one_is_in_the_other() {
        let near = subnet("10.0.3.1", 24);
        for other in [("10.0.3.7", 32), ("10.0.0.0", 8), ("0.0.0.0", 0)] {
            assert!(near.overlaps(&subnet(other.0, other.1)), "{other:?}");
        }
        for other in [("10.0.4.0", 24), ("::", 0)] {
            assert!(!near.overlaps(&subnet(other.0, other.1)), "{other:?}");
        }
    }
}
