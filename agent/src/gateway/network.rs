//! Network gateway: an address, a route and a firewall for a container.

mod names;

use std::{net::IpAddr, os::fd::AsFd as _};

use serde_json::Value;
use softwarecontainer_capability::{
    Settings as _,
    gateway::network::{Host, NetworkSettings},
    traffic::{Direction, Traffic},
};
use softwarecontainer_network::{Connection, Network, Peer, Permission, RateLimits, Subnet};

use super::{
    contract::{self, Gateway, ProcessGrants},
    error::{Cause, GatewayError},
    target::Target,
};
use crate::host::descriptor_store::Shelf;
use names::{Held, Names};

/// What the gateway has done to one container.
#[derive(Debug, Default)]
pub struct NetworkGateway {
    connection: Connection,
    /// The host names in its rules.
    names: Held,
}

impl NetworkGateway {
    fn set(&mut self, target: &Target<'_>, settings: &NetworkSettings) -> Result<(), Cause> {
        let (network, namespace) = (target.network, target.namespaces.network()?);
        let (wanted, names) = if settings.active {
            let names = names::hold(&settings.rules, network.host_names());
            let known = names::addresses(&names);
            let permissions = permissions(settings, &known, network.gateway());
            (connection(network, settings, permissions), names)
        } else {
            Default::default()
        };
        self.connection
            .change(network, target.id, namespace.as_fd(), wanted)
            .map_err(Box::new)?;
        self.names = names;
        Ok(())
    }
}

/// What the container is to have, with these permissions.
fn connection(
    network: &Network,
    settings: &NetworkSettings,
    permissions: Vec<Permission>,
) -> Connection {
    let rates = RateLimits {
        egress: settings.rates.egress(),
        ingress: settings.rates.ingress(),
    };
    Connection::new(network, permissions, rates)
}

/// What the rules of manifests permit, with addresses in place of names.
fn permissions(settings: &NetworkSettings, names: &Names, gateway: &[IpAddr]) -> Vec<Permission> {
    let mut permissions = Vec::new();
    for rule in &settings.rules {
        let peers = match &rule.host {
            Host::Any => vec![Peer::Anybody],
            Host::Gateway => hosts(gateway),
            Host::Network { address, prefix } => {
                vec![Peer::Subnet(Subnet::new(*address, *prefix))]
            }
            Host::Name(name) => hosts(names.get(name).into_iter().flatten()),
        };
        permissions.extend(peers.into_iter().map(|peer| Permission {
            direction: rule.direction,
            peer,
            traffic: rule.traffic,
        }));
    }
    permissions
}

fn hosts<'a>(addresses: impl IntoIterator<Item = &'a IpAddr>) -> Vec<Peer> {
    let peers = addresses.into_iter();
    peers.map(|one| Peer::Subnet(Subnet::host(*one))).collect()
}

impl Gateway for NetworkGateway {
    type Settings = NetworkSettings;

    fn change(
        &mut self,
        target: &Target<'_>,
        _from: &NetworkSettings,
        to: &NetworkSettings,
    ) -> Result<(), GatewayError> {
        self.set(target, to)
            .map_err(|cause| GatewayError::new(NetworkSettings::ID, cause))
    }

    fn keep(&mut self, _: &Shelf<'_>) -> Option<Value> {
        serde_json::to_value(names::addresses(&self.names)).ok()
    }

    fn adopt(
        &mut self,
        target: &Target<'_>,
        settings: &NetworkSettings,
        kept: &Value,
        _: &Shelf<'_>,
    ) -> Result<(), GatewayError> {
        let failed = |cause| GatewayError::new(NetworkSettings::ID, cause);
        let known: Names = contract::read(kept).map_err(failed)?;
        if !settings.active {
            return Ok(());
        }
        let network = target.network;
        let left = known.iter().map(|(name, addresses)| {
            let held = network.host_names().hold_left(name, addresses);
            (name.clone(), held)
        });
        self.names = left.collect();
        let permissions = permissions(settings, &known, network.gateway());
        self.connection = connection(network, settings, permissions)
            .adopt(network, target.id)
            .map_err(|error| failed(Box::new(error).into()))?;
        Ok(())
    }

    fn grant(&self, _target: &Target<'_>, settings: &NetworkSettings, process: &mut ProcessGrants) {
        process.raw_icmp = settings.rules.iter().any(|rule| {
            rule.direction == Direction::Outgoing
                && matches!(rule.traffic, Traffic::Any | Traffic::Icmp)
        });
    }

    fn refresh(
        &mut self,
        target: &Target<'_>,
        settings: &NetworkSettings,
    ) -> Result<(), GatewayError> {
        if self.names.is_empty() {
            return Ok(());
        }
        self.change(target, settings, settings)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::json;
    use softwarecontainer_capability::traffic::Ports;

    use super::*;

    #[test]
    fn all_addresses_of_a_name_are_permitted_and_none_where_it_has_none() {
        let mut settings = NetworkSettings::default();
        let allow = json!([{"host": "example.com", "ports": 443, "protocols": "tcp"}]);
        let element = json!({"direction": "OUTGOING", "allow": allow});
        settings.merge(element.as_object().unwrap()).unwrap();
        let addresses = ["10.1.1.1", "fd00::1"].map(|text| text.parse().unwrap());
        let names = Names::from([("example.com".to_owned(), BTreeSet::from(addresses))]);
        let permitted = addresses.map(|address| Permission {
            direction: Direction::Outgoing,
            peer: Peer::Subnet(Subnet::host(address)),
            traffic: Traffic::Tcp(Ports::new(443, 443).unwrap()),
        });
        assert_eq!(permissions(&settings, &names, &[]), permitted);
        assert!(permissions(&settings, &Names::new(), &[]).is_empty());
    }
}
