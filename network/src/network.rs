//! The containers' side of the bridge: what happens on the host when a container joins, talks and
//! leaves.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use softwarecontainer_capability::{class_id::ClassId, traffic::Direction};

use crate::{
    addresses::{AddressPlan, AddressesUsedUp, ContainerAddresses},
    bridge::{Bridge, BridgeError},
    conntrack::Forgetting,
    error::NetworkError,
    firewall::{Backend, Classified, Visitor, container::ContainerFirewall, legacy},
    host_names::HostNames,
    limits::{self, ConnectionLimits},
    netlink::Netlink,
    permission::Permission,
    port::Port,
    settings::BridgeSettings,
    surroundings::Surroundings,
    upkeep::repairs::Repairs,
};

/// Name of the network interface in every container.
pub(crate) const INTERFACE: &str = "eth0";

/// How long an interface may take to carry packets after it was set up. Usually it takes a
/// millisecond; the kernel may put it off for a second when many interfaces change.
pub(crate) const START_LIMIT: Duration = Duration::from_secs(5);

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
    backend: Backend,
    /// Nobody has chosen it, so that what others do may be a reason to choose another one.
    is_default: bool,
    /// The order of locking: what was repaired, the bridge, the ports.
    repairs: Mutex<Repairs>,
    bridge: Mutex<Bridge>,
    /// Changes with the bridge locked.
    stopped: AtomicBool,
    ports: Mutex<BTreeMap<i32, Port>>,
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

    pub(crate) fn with_names(
        settings: BridgeSettings,
        host_names: Arc<HostNames>,
    ) -> Result<Self, BridgeError> {
        let plan = settings.address_plan();
        let is_default = settings.firewall == Backend::Auto;
        let backend = settings.firewall.choose();
        let settings = BridgeSettings {
            firewall: backend,
            ..settings
        };
        let bridge = Bridge::ensure(settings.clone())?;
        Ok(Self {
            device: settings.device.clone(),
            surroundings: Surroundings::new(&settings, &plan),
            // The bridge's rules have made the kernel track connections.
            limits: ConnectionLimits::new(&settings.connections, limits::table_size()),
            backend,
            is_default,
            plan,
            fresh: bridge.was_there().then(Mutex::default),
            repairs: Mutex::default(),
            bridge: Mutex::new(bridge),
            stopped: AtomicBool::new(false),
            ports: Mutex::default(),
            host_names,
            forgetting: Forgetting::default(),
        })
    }

    /// Undoes what [`Network::start`] did, when the last container is gone. Nothing of it is
    /// repaired any more.
    ///
    /// # Errors
    /// [`BridgeError`]; as much as possible is undone.
    pub fn stop(&self) -> Result<(), BridgeError> {
        self.forgetting.wait();
        let mut bridge = self.bridge();
        self.stopped.store(true, Ordering::Relaxed);
        bridge.undo()
    }

    /// Whether the network was stopped; to be asked with the bridge locked.
    pub(crate) fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Relaxed)
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
        let surroundings = self.surroundings.clone();
        ContainerFirewall::new(permissions, surroundings, self.limits, self.backend)
    }

    /// Who puts rules into the kernel.
    pub(crate) fn backend(&self) -> Backend {
        self.backend
    }

    /// Whether the kernel tells what rules have counted without a program being started.
    #[must_use]
    pub fn tells_counts(&self) -> bool {
        self.backend == Backend::NfTables
    }

    /// Whether others have begun to use the legacy variant of iptables(8) since it was found not to
    /// be in use.
    pub(crate) fn is_overtaken(&self) -> bool {
        self.is_default && self.backend == Backend::NfTables && legacy::is_in_use()
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

    /// Forgets what the host remembers of the connections of an earlier agent's container `id`.
    pub(crate) fn forget_earlier(&self, id: i32) {
        let fresh = self.fresh.as_ref();
        if fresh.is_some_and(|fresh| lock(fresh).insert(id)) {
            self.forget_connections(id);
        }
    }

    /// After a container's end: removes its interface, which the kernel would do only some time
    /// later, its class, and its connections, which the host would remember for minutes.
    ///
    /// # Errors
    /// The first [`NetworkError`]; the other steps are done nevertheless.
    pub fn detach(&self, id: i32) -> Result<(), NetworkError> {
        let connected = self.bridge().firewall().has_visitor(id);
        // First, so that its interface is not missed.
        self.ports().remove(&id);
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

    /// A panic while the lock was held leaves rules that the next change writes anew.
    pub(crate) fn bridge(&self) -> MutexGuard<'_, Bridge> {
        lock(&self.bridge)
    }

    /// What the containers that are on the bridge may do there.
    pub(crate) fn ports(&self) -> MutexGuard<'_, BTreeMap<i32, Port>> {
        lock(&self.ports)
    }

    pub(crate) fn repairs(&self) -> MutexGuard<'_, Repairs> {
        lock(&self.repairs)
    }

    /// The name of the bridge.
    pub(crate) fn device(&self) -> &str {
        &self.device
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
