//! Network gateway: an address, a route and a firewall for a container.

pub mod error;
mod inside;
mod names;
mod peers;
mod rules;

use std::os::fd::BorrowedFd;

use softwarecontainer_capability::{Settings as _, gateway::network::NetworkSettings};

use super::{contract::Gateway, error::GatewayError, target::Target};
use crate::error_chain::Chain;
pub use error::NetworkGatewayError;
pub use inside::Route;
use inside::Tables;
pub use names::UnknownHost;
use rules::Names;
use softwarecontainer_network::{Network, Port};

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
                log::warn!(
                    "container {id}: while taking back a change of its network, {}",
                    Chain(&undo)
                );
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
        let connections = target.config.connections;
        self.set(network, target.id, namespace, to, connections)
            .map_err(|error| GatewayError::new(NetworkSettings::ID, Box::new(error)))
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
