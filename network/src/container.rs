//! What one container has of the network: its interface, its firewall and its port of the bridge.

mod interface;
mod neighbours;

use std::os::fd::BorrowedFd;

use softwarecontainer_capability::error_chain::Chain;

use crate::{
    error::NetworkError,
    firewall::{RuleCount, container::ContainerFirewall, counters},
    network::Network,
    permission::Permission,
    port::Port,
    rate_limits::RateLimits,
};

/// The state of a container's network.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Connection {
    /// The rules in the container; `None` while it is not connected.
    firewall: Option<ContainerFirewall>,
    /// Whether the bridge keeps it apart from other isolated containers.
    isolated: bool,
    rates: RateLimits,
}

impl Connection {
    /// A container that may do what `permissions` say, as fast as `rates` say.
    #[must_use]
    pub fn new(network: &Network, permissions: Vec<Permission>, rates: RateLimits) -> Self {
        Self {
            rates,
            isolated: !neighbours::may_be_called(&permissions, network.plan()),
            firewall: Some(network.firewall(permissions)),
        }
    }

    /// Goes on with container `id`, which an earlier agent has left in this state: nothing in it is
    /// changed.
    ///
    /// # Errors
    /// [`NetworkError`]: the host's rules that go with it cannot be loaded.
    pub fn adopt(self, network: &Network, id: i32) -> Result<Self, NetworkError> {
        let firewall = self.firewall.as_ref();
        network.set_visitor(id, firewall.map(ContainerFirewall::permissions))?;
        let Self {
            isolated, rates, ..
        } = self;
        network.ports().insert(id, Port::Open { isolated, rates });
        Ok(self)
    }

    /// Makes the network of container `id`, whose network namespace is `namespace`, as `wanted`
    /// says. On a failure it is left, as far as the failure allows, as it was.
    ///
    /// # Errors
    /// [`NetworkError`].
    pub fn change(
        &mut self,
        network: &Network,
        id: i32,
        namespace: BorrowedFd<'_>,
        wanted: Self,
    ) -> Result<(), NetworkError> {
        if let Some(firewall) = &wanted.firewall {
            network.require_path(id)?;
            network.require_way_out(firewall.permissions())?;
        }
        if wanted == *self {
            return Ok(());
        }
        if self.firewall.is_none() {
            network.wait_until_forgotten();
        }
        if let Err(error) = apply(network, id, namespace, self, &wanted) {
            if let Err(undo) = apply(network, id, namespace, &wanted, self) {
                log::warn!(
                    "container {id}: while taking back a change of its network: {}",
                    Chain(&undo)
                );
            }
            return Err(error);
        }
        *self = wanted;
        Ok(())
    }
}

/// What the rules of a container, whose network namespace is `namespace`, have counted. With the
/// programs of iptables(8) it starts one for each family, see [`Network::tells_counts`].
///
/// # Errors
/// [`NetworkError`].
pub fn rule_counts(
    network: &Network,
    namespace: BorrowedFd<'_>,
) -> Result<Vec<RuleCount>, NetworkError> {
    interface::inside(namespace, || Ok(counters::current(network.backend())?))
}

fn apply(
    network: &Network,
    id: i32,
    namespace: BorrowedFd<'_>,
    from: &Connection,
    to: &Connection,
) -> Result<(), NetworkError> {
    let Some(firewall) = &to.firewall else {
        let port = network.set_port(id, Port::Closed);
        interface::disconnect(namespace, id, network.backend())?;
        network.set_visitor(id, None)?;
        return port;
    };
    if from.firewall.as_ref() != Some(firewall) {
        let route = network.route(id)?;
        let connect = from.firewall.is_none().then_some(&route);
        interface::load(namespace, id, firewall, connect)?;
    }
    network.set_visitor(id, Some(firewall.permissions()))?;
    let Connection {
        isolated, rates, ..
    } = *to;
    network.set_port(id, Port::Open { isolated, rates })
}
