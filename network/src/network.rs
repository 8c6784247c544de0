//! The containers' side of the bridge: what happens on the host when a container joins, talks and
//! leaves.

use std::{
    collections::BTreeSet,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    os::fd::BorrowedFd,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use softwarecontainer_capability::{class_id::ClassId, error_chain::Chain, traffic::Direction};

use crate::{
    addresses::{AddressPlan, AddressesUsedUp, ContainerAddresses},
    bridge::{Bridge, BridgeError},
    conntrack::Forgetting,
    firewall::{Classified, FirewallError, Visitor, container::ContainerFirewall},
    frame_filter::{self, Identity},
    host_names::HostNames,
    limits::{self, ConnectionLimits},
    namespace::{self, NamespaceError},
    netlink::{Netlink, NetlinkError, PortFlags},
    permission::Permission,
    settings::BridgeSettings,
    surroundings::Surroundings,
    sysctl::{self, SysctlError},
};

/// Name of the network interface in every container.
pub(crate) const INTERFACE: &str = "eth0";

/// How long an interface may take to carry packets after it was set up. Usually it takes a
/// millisecond; the kernel may put it off for a second when many interfaces change.
pub(crate) const START_LIMIT: Duration = Duration::from_millis(1500);

/// Longest name of a network interface, in bytes.
const LONGEST_NAME: usize = 15;

/// Why a container cannot be connected, or not as it should be.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NetworkError {
    /// The bridge is not there.
    #[error(transparent)]
    Bridge(#[from] BridgeError),
    /// No address is left.
    #[error(transparent)]
    Addresses(#[from] AddressesUsedUp),
    /// The kernel refused.
    #[error(transparent)]
    Netlink(#[from] NetlinkError),
    /// The container's network namespace could not be entered.
    #[error(transparent)]
    Namespace(#[from] NamespaceError),
    /// A kernel setting of the container could not be set.
    #[error(transparent)]
    Setting(#[from] SysctlError),
    /// The firewall refused.
    #[error(transparent)]
    Firewall(#[from] FirewallError),
    /// Something inside the container could not be set.
    #[error("in the container")]
    Inside(#[source] Box<NetworkError>),
}

/// What a container may do on the bridge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Port {
    /// Nothing: the network gateway is not active.
    Closed,
    /// Send frames with its own addresses.
    Open {
        /// The bridge keeps it apart from other isolated containers.
        isolated: bool,
    },
}

/// The network, made ready as soon as that is possible: at the agent's start, or, if somebody else
/// makes the bridge and has not yet, when the first container is created.
#[derive(Debug)]
pub struct LateNetwork {
    settings: BridgeSettings,
    host_names: Arc<HostNames>,
    network: Mutex<Option<Arc<Network>>>,
}

impl LateNetwork {
    /// Nothing is done yet.
    #[must_use]
    pub fn new(settings: BridgeSettings) -> Self {
        let host_names = Arc::new(HostNames::new(settings.address_plan().subnets()));
        Self {
            settings,
            host_names,
            network: Mutex::new(None),
        }
    }

    /// The network, made ready now if it is not yet.
    ///
    /// # Errors
    /// [`BridgeError`].
    pub fn get(&self) -> Result<Arc<Network>, BridgeError> {
        let mut network = self.lock();
        if let Some(ready) = network.as_ref() {
            return Ok(ready.clone());
        }
        let names = self.host_names.clone();
        let ready = Arc::new(Network::with_names(self.settings.clone(), names)?);
        *network = Some(ready.clone());
        Ok(ready)
    }

    /// The names in rules of all containers.
    #[must_use]
    pub fn host_names(&self) -> &Arc<HostNames> {
        &self.host_names
    }

    /// Undoes what was made ready (see [`Network::stop`]).
    ///
    /// # Errors
    /// [`BridgeError`].
    pub fn stop(&self) -> Result<(), BridgeError> {
        self.lock().take().map_or(Ok(()), |network| network.stop())
    }

    fn lock(&self) -> MutexGuard<'_, Option<Arc<Network>>> {
        self.network.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The addresses of a container and its way out.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Route {
    pub(crate) addresses: ContainerAddresses,
    pub(crate) gateway: Ipv4Addr,
    pub(crate) gateway6: Option<Ipv6Addr>,
}

/// The network of all containers.
#[derive(Debug)]
pub struct Network {
    device: String,
    plan: AddressPlan,
    surroundings: Surroundings,
    limits: ConnectionLimits,
    bridge: Mutex<Bridge>,
    host_names: Arc<HostNames>,
    forgetting: Forgetting,
    /// The containers since whose first start the host's table of connections has none of an
    /// earlier agent's; `None` if there was none.
    fresh: Option<Mutex<BTreeSet<i32>>>,
}

impl Network {
    /// Makes the bridge ready (see [`Bridge::ensure`]).
    ///
    /// # Errors
    /// [`BridgeError`].
    pub fn start(settings: BridgeSettings) -> Result<Self, BridgeError> {
        let host_names = Arc::new(HostNames::new(settings.address_plan().subnets()));
        Self::with_names(settings, host_names)
    }

    fn with_names(
        settings: BridgeSettings,
        host_names: Arc<HostNames>,
    ) -> Result<Self, BridgeError> {
        let plan = settings.address_plan();
        let bridge = Bridge::ensure(settings.clone())?;
        Ok(Self {
            device: settings.device.clone(),
            surroundings: Surroundings::new(&settings, &plan),
            // The bridge's rules have made the kernel track connections.
            limits: ConnectionLimits::new(&settings.connections, limits::table_size()),
            plan,
            fresh: bridge.was_there().then(Mutex::default),
            bridge: Mutex::new(bridge),
            host_names,
            forgetting: Forgetting::default(),
        })
    }

    /// Undoes what [`Network::start`] did, when the last container is gone.
    ///
    /// # Errors
    /// [`BridgeError`]; as much as possible is undone.
    pub fn stop(&self) -> Result<(), BridgeError> {
        self.forgetting.wait();
        self.bridge().undo()
    }

    /// The names in rules of all containers.
    #[must_use]
    pub fn host_names(&self) -> &HostNames {
        &self.host_names
    }

    /// How addresses are counted.
    #[must_use]
    pub(crate) fn plan(&self) -> &AddressPlan {
        &self.plan
    }

    /// The addresses of container `id`.
    ///
    /// # Errors
    /// None is left.
    pub fn addresses(&self, id: i32) -> Result<ContainerAddresses, AddressesUsedUp> {
        self.plan.container(id)
    }

    /// The addresses of container `id` and its way out.
    pub(crate) fn route(&self, id: i32) -> Result<Route, AddressesUsedUp> {
        Ok(Route {
            addresses: self.addresses(id)?,
            gateway: self.plan.v4,
            gateway6: self.plan.v6.map(|(address, _)| address),
        })
    }

    /// The host's addresses on the bridge.
    #[must_use]
    pub fn gateway(&self) -> &[IpAddr] {
        self.surroundings.bridge()
    }

    /// The firewall of a container with these permissions.
    pub(crate) fn firewall(&self, permissions: Vec<Permission>) -> ContainerFirewall {
        ContainerFirewall::new(permissions, self.surroundings.clone(), self.limits)
    }

    /// Lets container `id` reach of the host itself what its permissions name, or nothing more.
    pub(crate) fn set_visitor(
        &self,
        id: i32,
        permissions: Option<&[Permission]>,
    ) -> Result<(), NetworkError> {
        let visitor = match permissions {
            None => None,
            Some(permissions) => {
                let outgoing = permissions
                    .iter()
                    .filter(|one| one.direction == Direction::Outgoing);
                Some(Visitor {
                    addresses: self.addresses(id)?.all(),
                    permissions: outgoing.cloned().collect(),
                })
            }
        };
        Ok(self.bridge().firewall().set_visitor(id, visitor)?)
    }

    /// Name of the host's end of the veth pair of container `id`.
    #[must_use]
    pub fn veth(&self, id: i32) -> String {
        veth_name(id, &self.device)
    }

    /// What LXC needs to know, as configuration keys and values. The interface starts down, without
    /// address and connected to nothing: [`Network::attach`] makes it a port of the bridge when its
    /// filter is in place. (LXC would also look for the bridge in sysfs, which may belong to
    /// another network namespace than the agent.)
    ///
    /// # Errors
    /// No address is left, or the bridge is gone.
    pub fn lxc_items(&self, id: i32) -> Result<Vec<(&'static str, String)>, NetworkError> {
        let addresses = self.addresses(id)?;
        let bridge = Netlink::open()?.link(&self.device)?;
        let mut items = vec![
            ("lxc.net.0.type", "veth".to_owned()),
            ("lxc.net.0.name", INTERFACE.to_owned()),
            ("lxc.net.0.veth.pair", self.veth(id)),
            ("lxc.net.0.hwaddr", addresses.mac.to_string()),
        ];
        items.extend(bridge.mtu.map(|mtu| ("lxc.net.0.mtu", mtu.to_string())));
        Ok(items)
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
        Ok(())
    }

    /// After a container's start: connects it to a port of the bridge that is closed. Inside, sets
    /// loopback up and allows ping.
    ///
    /// # Errors
    /// [`NetworkError`].
    pub fn attach(&self, id: i32, namespace: BorrowedFd<'_>) -> Result<(), NetworkError> {
        let addresses = self.addresses(id)?;
        if self
            .fresh
            .as_ref()
            .is_some_and(|fresh| lock(fresh).insert(id))
        {
            self.forget_connections(id);
        }
        let netlink = Netlink::open()?;
        let link = netlink.link(&self.veth(id))?;
        netlink.set_filter(&link, &frame_filter::closed())?;
        netlink.set_master(&link, &netlink.link(&self.device)?)?;
        netlink.pin_address_to_port(&link, addresses.mac)?;
        netlink.set_port_flags(&link, port_flags(true))?;
        namespace::inside(namespace, || {
            let netlink = Netlink::open()?;
            netlink.set_up(&netlink.link("lo")?, true)?;
            // Apps have no raw sockets: every group may open ICMP sockets instead, see icmp(7).
            Ok(sysctl::write("net/ipv4/ping_group_range", "0 2147483647")?)
        })?
    }

    /// Opens or closes the port of container `id`.
    ///
    /// # Errors
    /// [`NetworkError`].
    pub fn set_port(&self, id: i32, port: Port) -> Result<(), NetworkError> {
        let netlink = Netlink::open()?;
        let link = netlink.link(&self.veth(id))?;
        match port {
            Port::Closed => {
                netlink.set_filter(&link, &frame_filter::closed())?;
                netlink.set_port_flags(&link, port_flags(true))?;
            }
            Port::Open { isolated } => {
                netlink.set_port_flags(&link, port_flags(isolated))?;
                netlink.set_filter(
                    &link,
                    &frame_filter::honest(&identity(&self.addresses(id)?)),
                )?;
                for name in [&link.name, &self.device] {
                    if !netlink.wait_until_running(name, START_LIMIT)? {
                        log::warn!(
                            "container {id}: network interface {name} carries no packets yet"
                        );
                    }
                }
            }
        }
        Ok(())
    }

    /// After a container's end: removes its interface, which the kernel would do only some time
    /// later, its class, and its connections, which the host would remember for minutes.
    ///
    /// # Errors
    /// The first [`NetworkError`]; the other steps are done nevertheless.
    pub fn detach(&self, id: i32) -> Result<(), NetworkError> {
        let connected = self.bridge().firewall().has_visitor(id);
        let link = self.prepare(id);
        let visitor = self.set_visitor(id, None);
        let class = self.set_class(id, None);
        if connected {
            self.forget_connections(id);
        }
        link.and(visitor).and(class)
    }

    /// Drops the connections of container `id` from the host's table, soon.
    fn forget_connections(&self, id: i32) {
        if let Ok(addresses) = self.addresses(id) {
            self.forgetting.begin(&addresses.all());
        }
    }

    /// Waits until the host knows no connections of containers that have ended.
    pub(crate) fn wait_until_forgotten(&self) {
        self.forgetting.wait();
    }

    /// Sets or ends the class of the packets of container `id`.
    ///
    /// # Errors
    /// [`NetworkError`]; the class is then what it was.
    pub fn set_class(&self, id: i32, class: Option<ClassId>) -> Result<(), NetworkError> {
        let classified = match class {
            None => None,
            Some(class) => {
                let addresses = self.addresses(id)?;
                Some(Classified {
                    v4: addresses.v4,
                    v6: addresses.v6.map(|(address, _)| address),
                    class,
                })
            }
        };
        let mut bridge = self.bridge();
        Ok(bridge.firewall().set_class(id, classified)?)
    }

    /// The class of the packets of container `id`.
    #[must_use]
    pub fn class(&self, id: i32) -> Option<ClassId> {
        self.bridge().firewall().class(id).map(|one| one.class)
    }

    /// Loads our rules on the host again if others have removed them. A failure is only logged:
    /// what is wrong with others' firewall must not keep apps from starting.
    pub fn repair_or_warn(&self) {
        if let Err(error) = self.bridge().firewall().repair() {
            log::warn!(
                "the host's firewall rules for {} may be incomplete: {}",
                self.device,
                Chain(&error)
            );
        }
    }

    /// A panic while the lock was held leaves rules that the next change writes anew.
    fn bridge(&self) -> MutexGuard<'_, Bridge> {
        lock(&self.bridge)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
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

/// Tells the container first: that part is never cut.
fn veth_name(id: i32, device: &str) -> String {
    let mut name = format!("sc{id}-{device}");
    let mut end = name.len().min(LONGEST_NAME);
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    name.truncate(end);
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_interface_on_the_host_tells_the_container_and_fits() {
        assert_eq!(veth_name(0, "lxcbr0"), "sc0-lxcbr0");
        assert_eq!(veth_name(12345, "a-long-bridge-0"), "sc12345-a-long-");
        assert_eq!(veth_name(i32::MAX, "lxcbr0"), "sc2147483647-lx");
        assert_eq!(veth_name(123, "brücke-des-auto"), "sc123-brücke-d");
    }
}
