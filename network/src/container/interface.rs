//! The interface in a container, set by a thread that joins the container's network namespace for
//! the time.

use std::{net::IpAddr, os::fd::BorrowedFd};

use crate::{
    error::NetworkError,
    firewall::{Backend, container::ContainerFirewall},
    namespace,
    netlink::{InterfaceAddress, Netlink},
    network::{INTERFACE, Route, START_LIMIT},
    sysctl,
};

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

/// Loads the rules, and then, if `connect` is given, sets the interface up: there is no moment with
/// an address and without rules.
pub(super) fn load(
    namespace: BorrowedFd<'_>,
    id: i32,
    firewall: &ContainerFirewall,
    connect: Option<&Route>,
) -> Result<(), NetworkError> {
    inside(namespace, || {
        firewall.load(id)?;
        if let Some(route) = connect {
            set_up(route)?;
        }
        Ok(())
    })
}

/// Sets the interface down, without addresses and routes, and closes the firewall.
pub(super) fn disconnect(
    namespace: BorrowedFd<'_>,
    id: i32,
    backend: Backend,
) -> Result<(), NetworkError> {
    inside(namespace, || {
        let netlink = Netlink::open()?;
        let link = netlink.link(INTERFACE)?;
        netlink.set_up(&link, false)?;
        for address in netlink.addresses(&link)? {
            netlink.delete_address(&link, address)?;
        }
        Ok(ContainerFirewall::closed(backend).load(id)?)
    })
}

/// Does work in the namespace; its failures say where it was.
pub(super) fn inside<T: Send>(
    namespace: BorrowedFd<'_>,
    work: impl FnOnce() -> Result<T, NetworkError> + Send,
) -> Result<T, NetworkError> {
    namespace::inside(namespace, work)?.map_err(|error| NetworkError::Inside(Box::new(error)))
}

fn set_up(route: &Route) -> Result<(), NetworkError> {
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
