//! What is done inside a container's network namespace, by a thread that joins it for the time.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::BorrowedFd;

use softwarecontainer_capability::gateway::network::Rule;

use super::error::NetworkGatewayError;
use super::rules::{self, Names};
use softwarecontainer_network::addresses::ContainerAddresses;
use softwarecontainer_network::iptables::{self, Family, FirewallError};
use softwarecontainer_network::namespace;
use softwarecontainer_network::netlink::{InterfaceAddress, Netlink};
use softwarecontainer_network::sysctl;
use softwarecontainer_network::{INTERFACE, Network, NetworkError, START_LIMIT};

/// Settings of the container's namespace, made before its interface is up. Those that this kernel
/// lacks are skipped.
const SETTINGS: [(&str, &str); 5] = [
    // Nobody on the bridge may change the container's routes or addresses.
    ("net/ipv4/conf/eth0/accept_redirects", "0"),
    ("net/ipv6/conf/eth0/accept_redirects", "0"),
    ("net/ipv6/conf/eth0/accept_ra", "0"),
    ("net/ipv6/conf/eth0/autoconf", "0"),
    // The address is ours by construction, and usable at once.
    ("net/ipv6/conf/eth0/accept_dad", "0"),
];

/// The filter tables of both families, as text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Tables {
    v4: String,
    v6: String,
}

impl Tables {
    pub(super) fn new<'a>(
        rules: impl IntoIterator<Item = &'a Rule, IntoIter: Clone>,
        names: &Names,
        connections: u32,
    ) -> Self {
        let rules = rules.into_iter();
        Self {
            v4: rules::table(Family::V4, rules.clone(), names, connections),
            v6: rules::table(Family::V6, rules, names, connections),
        }
    }

    fn closed() -> Self {
        Self::new([], &Names::new(), 0).unbounded()
    }

    fn unbounded(&self) -> Self {
        Self {
            v4: rules::unbounded(&self.v4),
            v6: rules::unbounded(&self.v6),
        }
    }
}

/// The addresses of a container and its way out.
#[derive(Clone, Copy, Debug)]
pub struct Route {
    addresses: ContainerAddresses,
    gateway: Ipv4Addr,
    gateway6: Option<Ipv6Addr>,
}

impl Route {
    /// That of container `id`.
    pub(super) fn of(network: &Network, id: i32) -> Result<Self, NetworkError> {
        let plan = network.plan();
        Ok(Self {
            addresses: network.addresses(id)?,
            gateway: plan.v4,
            gateway6: plan.v6.map(|(address, _)| address),
        })
    }
}

/// Loads the rules, and then, if `connect` is given, sets the interface up: there is no moment with
/// an address and without rules.
pub(super) fn load(
    namespace: BorrowedFd<'_>,
    tables: &Tables,
    connect: Option<&Route>,
) -> Result<(), NetworkGatewayError> {
    namespace::inside(namespace, || {
        restore(tables)?;
        if let Some(route) = connect {
            set_up(route)?;
        }
        Ok(())
    })?
}

/// Sets the interface down, without addresses and routes, and closes the firewall.
pub(super) fn disconnect(namespace: BorrowedFd<'_>) -> Result<(), NetworkGatewayError> {
    namespace::inside(namespace, || {
        let netlink = Netlink::open()?;
        let link = netlink.link(INTERFACE)?;
        netlink.set_up(&link, false)?;
        for address in netlink.addresses(&link)? {
            netlink.delete_address(&link, address)?;
        }
        Ok(restore(&Tables::closed())?)
    })?
}

/// Loads the tables, on a kernel that cannot count connections without the bound on them.
fn restore(tables: &Tables) -> Result<(), FirewallError> {
    match restore_as_they_are(tables) {
        Err(refused @ FirewallError::Refused { .. }) => {
            restore_as_they_are(&tables.unbounded())?;
            log::warn!(
                "containers can fill the host's table of connections: their number cannot be bounded \
                 (CONFIG_NETFILTER_XT_MATCH_CONNLIMIT): {refused}"
            );
            Ok(())
        }
        outcome => outcome,
    }
}

fn restore_as_they_are(tables: &Tables) -> Result<(), FirewallError> {
    let mut rules = vec![(Family::V4, tables.v4.as_str())];
    if sysctl::exists("net/ipv6") {
        rules.push((Family::V6, tables.v6.as_str()));
    }
    iptables::restore(&rules)
}

fn set_up(route: &Route) -> Result<(), NetworkGatewayError> {
    for (name, value) in SETTINGS {
        if sysctl::exists(name) {
            sysctl::write(name, value)?;
        }
    }
    let netlink = Netlink::open()?;
    let link = netlink.link(INTERFACE)?;
    let v4 = InterfaceAddress {
        address: IpAddr::V4(route.addresses.v4),
        prefix: route.addresses.prefix4,
    };
    netlink.add_address(&link, v4)?;
    netlink.set_up(&link, true)?;
    netlink.set_default_route(&link, IpAddr::V4(route.gateway))?;
    if let (Some((address, prefix)), Some(gateway)) = (route.addresses.v6, route.gateway6) {
        let v6 = InterfaceAddress {
            address: IpAddr::V6(address),
            prefix,
        };
        netlink.add_address(&link, v6)?;
        netlink.set_default_route(&link, IpAddr::V6(gateway))?;
    }
    if !netlink.wait_until_running(INTERFACE, START_LIMIT)? {
        log::warn!(
            "the interface of the container at {} carries no packets yet",
            route.addresses.v4
        );
    }
    Ok(())
}
