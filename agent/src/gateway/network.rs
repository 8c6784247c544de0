//! Network gateway: an address, a route and a firewall for a container.

mod inside;
mod names;
mod peers;
mod rules;

use std::fmt;
use std::os::fd::BorrowedFd;

use softwarecontainer_capability::{Settings as _, gateway::network::NetworkSettings};

use super::{Gateway, GatewayError, Target};
pub use inside::Route;
use inside::Tables;
pub use names::UnknownHost;
use rules::Names;
use softwarecontainer_network::iptables::FirewallError;
use softwarecontainer_network::namespace::NamespaceError;
use softwarecontainer_network::netlink::NetlinkError;
use softwarecontainer_network::sysctl::SysctlError;
use softwarecontainer_network::{Network, NetworkError, Port};

/// Why a container's network is not as its capabilities say.
#[derive(Debug)]
#[non_exhaustive]
pub enum NetworkGatewayError {
    /// A host name in a rule has no address.
    Name(UnknownHost),
    /// The host's side cannot be set.
    Host(NetworkError),
    /// The container's interface cannot be set.
    Interface(NetlinkError),
    /// A kernel setting of the container cannot be set.
    Setting(SysctlError),
    /// The container's firewall cannot be set.
    Firewall(FirewallError),
    /// The container's network namespace cannot be entered.
    Namespace(NamespaceError),
}

impl fmt::Display for NetworkGatewayError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(source) => source.fmt(f),
            Self::Host(source) => source.fmt(f),
            Self::Interface(source) => write!(f, "in the container, {source}"),
            Self::Setting(source) => write!(f, "in the container, {source}"),
            Self::Firewall(source) => write!(f, "in the container, {source}"),
            Self::Namespace(source) => source.fmt(f),
        }
    }
}

impl std::error::Error for NetworkGatewayError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Name(source) => Some(source),
            Self::Host(source) => Some(source),
            Self::Interface(source) => Some(source),
            Self::Setting(source) => Some(source),
            Self::Firewall(source) => Some(source),
            Self::Namespace(source) => Some(source),
        }
    }
}

macro_rules! from {
    ($($variant:ident: $source:ty,)*) => {
        $(impl From<$source> for NetworkGatewayError {
            fn from(source: $source) -> Self {
                Self::$variant(source)
            }
        })*
    };
}

from! {
    Name: UnknownHost,
    Host: NetworkError,
    Interface: NetlinkError,
    Setting: SysctlError,
    Firewall: FirewallError,
    Namespace: NamespaceError,
}

/// What the gateway has done to one container.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Connection {
    /// The rules in the container; `None` while the gateway is not active.
    tables: Option<Tables>,
    /// Whether the bridge keeps it apart from other isolated containers.
    isolated: bool,
    /// What host names in its rules stand for.
    names: Names,
}

impl Connection {
    /// Makes the network of container `id`, whose network namespace is `namespace`, as `settings`
    /// say, for `connections` at most that the container has begun. On a failure it is left, as far
    /// as the failure allows, as it was.
    ///
    /// # Errors
    /// [`NetworkGatewayError`].
    pub fn set(
        &mut self,
        network: &Network,
        id: i32,
        namespace: BorrowedFd<'_>,
        settings: &NetworkSettings,
        connections: u32,
    ) -> Result<(), NetworkGatewayError> {
        let wanted = self.plan(network, settings, connections)?;
        if wanted.tables.is_some() {
            network.repair_or_warn();
        }
        if wanted == *self {
            return Ok(());
        }
        if let Err(error) = apply(network, id, namespace, self, &wanted) {
            if let Err(undo) = apply(network, id, namespace, &wanted, self) {
                log::warn!("container {id}: while taking back a change of its network, {undo}");
            }
            return Err(error);
        }
        *self = wanted;
        Ok(())
    }

    fn plan(
        &self,
        network: &Network,
        settings: &NetworkSettings,
        connections: u32,
    ) -> Result<Self, UnknownHost> {
        if !settings.active {
            return Ok(Self::default());
        }
        let names = names::resolve(&settings.rules, &self.names)?;
        Ok(Self {
            tables: Some(Tables::new(&settings.rules, &names, connections)),
            isolated: !peers::may_be_called(&settings.rules, &names, network.plan()),
            names,
        })
    }
}

impl Gateway for Connection {
    type Settings = NetworkSettings;

    fn change(
        &mut self,
        target: &Target<'_>,
        _from: &NetworkSettings,
        to: &NetworkSettings,
    ) -> Result<(), GatewayError> {
        let (network, namespace) = (target.network, target.namespaces.network());
        let connections = target.config.limits.connections;
        self.set(network, target.id, namespace, to, connections)
            .map_err(|error| GatewayError::new(NetworkSettings::ID, error))
    }
}

fn apply(
    network: &Network,
    id: i32,
    namespace: BorrowedFd<'_>,
    from: &Connection,
    to: &Connection,
) -> Result<(), NetworkGatewayError> {
    let Some(tables) = &to.tables else {
        let port = network.set_port(id, Port::Closed);
        inside::disconnect(namespace)?;
        return Ok(port?);
    };
    if from.tables.as_ref() != Some(tables) {
        let route = Route::of(network, id)?;
        let connect = from.tables.is_none().then_some(&route);
        inside::load(namespace, tables, connect)?;
    }
    let isolated = to.isolated;
    Ok(network.set_port(id, Port::Open { isolated })?)
}
