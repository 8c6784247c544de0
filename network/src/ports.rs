//! The containers' ports of the bridge.

use std::{net::Ipv6Addr, os::fd::BorrowedFd};

use crate::{
    addresses::ContainerAddresses,
    error::NetworkError,
    frame_filter::{self, Identity},
    namespace,
    netlink::{Link, Netlink, PortFlags},
    network::{Network, START_LIMIT},
    port::{Port, veth_name},
    sysctl,
};

impl Network {
    /// Name of the host's end of the veth pair of container `id`.
    #[must_use]
    pub fn veth(&self, id: i32) -> String {
        veth_name(id, self.device())
    }

    /// Before a container starts: removes an interface that an earlier one with the same ID left,
    /// which would be in the way.
    ///
    /// # Errors
    /// [`NetworkError::Netlink`].
    pub fn prepare(&self, id: i32) -> Result<(), NetworkError> {
        let netlink = Netlink::open()?;
        if let Some(link) = netlink.find_link(&self.veth(id))? {
            match netlink.delete_link(&link) {
                Err(error) if error.errno() != Some(libc::ENODEV) => return Err(error.into()),
                _ => {}
            }
        }
        self.remove_detour(&netlink, id)
    }

    /// After a container's start: connects it to a port of the bridge that is closed. Inside, sets
    /// loopback up and allows ping.
    ///
    /// # Errors
    /// [`NetworkError`].
    pub fn attach(&self, id: i32, namespace: BorrowedFd<'_>) -> Result<(), NetworkError> {
        self.forget_earlier(id);
        let netlink = Netlink::open()?;
        self.connect(&netlink, id, &netlink.link(&self.veth(id))?)?;
        namespace::inside(namespace, || {
            let netlink = Netlink::open()?;
            netlink.set_up(&netlink.link("lo")?, true)?;
            // Apps have no raw sockets: every group may open ICMP sockets instead, see icmp(7).
            Ok::<_, NetworkError>(sysctl::write("net/ipv4/ping_group_range", "0 2147483647")?)
        })??;
        self.ports().insert(id, Port::Closed);
        Ok(())
    }

    /// Goes on with the port of a container that an earlier agent has left; nothing is changed.
    ///
    /// # Errors
    /// [`NetworkError`]: its interface is gone.
    pub fn adopt(&self, id: i32) -> Result<(), NetworkError> {
        Netlink::open()?.link(&self.veth(id))?;
        self.ports().insert(id, Port::Closed);
        Ok(())
    }

    /// Makes the interface of container `id` a port of the bridge that is closed.
    fn connect(&self, netlink: &Netlink, id: i32, link: &Link) -> Result<(), NetworkError> {
        netlink.set_filter(link, &frame_filter::closed())?;
        netlink.set_master(link, &netlink.link(self.device())?)?;
        netlink.pin_address_to_port(link, self.addresses(id)?.mac)?;
        netlink.set_port_flags(link, port_flags(true))?;
        Ok(())
    }

    /// Puts a container back on the bridge, with what it may do there.
    ///
    /// # Errors
    /// [`NetworkError`].
    pub(crate) fn reconnect(&self, id: i32, link: &Link, port: Port) -> Result<(), NetworkError> {
        let netlink = Netlink::open()?;
        self.connect(&netlink, id, link)?;
        netlink.set_up(link, true)?;
        self.change_port(&netlink, id, link, port)
    }

    /// Opens or closes the port of container `id`.
    ///
    /// # Errors
    /// [`NetworkError`].
    pub fn set_port(&self, id: i32, port: Port) -> Result<(), NetworkError> {
        let netlink = Netlink::open()?;
        let link = netlink.link(&self.veth(id))?;
        {
            // The upkeep looks at ports with this, too, and would take one that is being changed
            // for one that somebody else has changed.
            let _bridge = self.bridge();
            self.ports().insert(id, port);
            self.change_port(&netlink, id, &link, port)?;
        }
        if port != Port::Closed {
            for name in [&link.name, self.device()] {
                if !netlink.wait_until_running(name, START_LIMIT)? {
                    return Err(NetworkError::NoCarrier(name.to_owned()));
                }
            }
        }
        Ok(())
    }

    fn change_port(
        &self,
        netlink: &Netlink,
        id: i32,
        link: &Link,
        port: Port,
    ) -> Result<(), NetworkError> {
        self.shape(netlink, id, link, port.rates())?;
        match port {
            Port::Closed => {
                netlink.set_filter(link, &frame_filter::closed())?;
                netlink.set_port_flags(link, port_flags(true))?;
            }
            Port::Open { isolated, .. } => {
                netlink.set_port_flags(link, port_flags(isolated))?;
                let identity = identity(&self.addresses(id)?);
                netlink.set_filter(link, &frame_filter::honest(&identity))?;
            }
        }
        Ok(())
    }
}

fn identity(addresses: &ContainerAddresses) -> Identity {
    let link_local: Ipv6Addr = addresses.link_local();
    Identity {
        mac: addresses.mac,
        v4: addresses.v4,
        v6: std::iter::once(link_local)
            .chain(addresses.v6.map(|(address, _)| address))
            .collect(),
    }
}

/// The bridge knows for good what is behind the port, so it neither learns there nor floods it with
/// frames for others.
fn port_flags(isolated: bool) -> PortFlags {
    PortFlags {
        isolated,
        learning: false,
        flood: false,
        guard: true,
    }
}
