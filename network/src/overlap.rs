//! Whether the containers' networks are in use elsewhere on the host: then neither the host nor the
//! containers can reach the other one.

use std::{collections::BTreeSet, fmt, net::Ipv4Addr};

use crate::{
    addresses::AddressPlan,
    netlink::{InterfaceAddress, Netlink, NetlinkError},
    settings::BridgeSettings,
    subnet::Subnet,
};

/// A network of an interface that is not the bridge.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Used {
    device: String,
    subnet: Subnet,
}

impl fmt::Display for Used {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} on {}", self.subnet, self.device)
    }
}

/// The networks that the host has addresses in or routes to, other than by the bridge `device`.
///
/// # Errors
/// [`NetlinkError`].
pub(crate) fn in_use(device: &str) -> Result<BTreeSet<Used>, NetlinkError> {
    let netlink = Netlink::open()?;
    let links = netlink.links()?;
    let name = |index: i32| {
        let link = links.iter().find(|link| link.index == index);
        link.map_or_else(|| format!("interface {index}"), |link| link.name.clone())
    };
    let addresses = netlink.interface_addresses()?.into_iter();
    let addresses = addresses.filter_map(|(index, one)| Some((i32::try_from(index).ok()?, one)));
    let used = addresses.chain(netlink.routes()?);
    let used = used.filter(|(_, one)| one.prefix > 0 && !is_of_one_link(one));
    let used = used.map(|(index, one)| Used {
        device: name(index),
        subnet: Subnet::new(one.address, one.prefix),
    });
    Ok(used.filter(|used| used.device != device).collect())
}

/// Every interface has such an address; they are no conflict.
fn is_of_one_link(one: &InterfaceAddress) -> bool {
    match one.address {
        std::net::IpAddr::V4(v4) => v4.is_loopback(),
        std::net::IpAddr::V6(v6) => v6.is_loopback() || v6.is_unicast_link_local(),
    }
}

/// Those of `used` that have addresses in common with the containers' networks.
pub(crate) fn conflicts(plan: &AddressPlan, used: BTreeSet<Used>) -> BTreeSet<Used> {
    let own: Vec<Subnet> = plan.subnets().collect();
    let mut conflicts = used;
    conflicts.retain(|used| own.iter().any(|own| own.overlaps(&used.subnet)));
    conflicts
}

impl BridgeSettings {
    /// The same with one address of the candidates, if there are any: one that the bridge has
    /// already, so that an agent that starts again keeps it, or the first whose network is used
    /// nowhere else. When all are in use it is the first.
    ///
    /// # Errors
    /// [`NetlinkError`].
    pub fn with_free_address(mut self) -> Result<Self, NetlinkError> {
        let Some(first) = self.candidates.first() else {
            return Ok(self);
        };
        let netlink = Netlink::open()?;
        let has = match netlink.find_link(&self.device)? {
            Some(link) => netlink.addresses(&link)?,
            None => Vec::new(),
        };
        let used = in_use(&self.device)?;
        let is_free = |ip: &&Ipv4Addr| {
            let own = Subnet::new((**ip).into(), self.prefix_len);
            !used.iter().any(|used| used.subnet.overlaps(&own))
        };
        let is_there = |ip: &&Ipv4Addr| has.iter().any(|one| one.address == **ip);
        let kept = self.candidates.iter().filter(is_there).find(is_free);
        let free = kept.or_else(|| self.candidates.iter().find(is_free));
        let ip = *free.unwrap_or(first);
        self.ip = ip;
        self.network = ip & self.netmask();
        log::info!(
            "the bridge {} gets the address {ip}/{}",
            self.device,
            self.prefix_len
        );
        Ok(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn used(device: &str, address: &str, prefix: u8) -> Used {
        let device = device.to_owned();
        let subnet = Subnet::new(address.parse().unwrap(), prefix);
        Used { device, subnet }
    }

    #[test]
    fn networks_with_addresses_in_common_are_named() {
        let plan = BridgeSettings::default().address_plan();
        let all = [
            used("wlan0", "10.0.3.0", 25),
            used("tun0", "10.0.0.0", 8),
            used("eth0", "192.0.2.0", 24),
            used("eth0", "10.0.4.0", 24),
        ];
        let found = conflicts(&plan, all.into());
        let found: Vec<String> = found.iter().map(ToString::to_string).collect();
        assert_eq!(found, ["10.0.0.0/8 on tun0", "10.0.3.0/25 on wlan0"]);
    }
}
