//! A host with a bridge, containers on it, and the outside: one network namespace each.

#![allow(dead_code)] // Each test binary uses its part.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use serde_json::Value;
use softwarecontainer_capability::{
    Settings,
    gateway::network::{Host, NetworkSettings},
};
use softwarecontainer_network::{
    Backend, BridgeSettings, Connection, Network, NetworkError, Peer, Permission, RateLimits,
    Subnet,
};

use crate::netns::Namespace;

pub const OUTSIDE: &str = "198.51.100.2";
pub const OUTSIDE6: &str = "2001:db8::2";
pub const BRIDGE: &str = "10.9.3.1";

pub struct World {
    pub host: Namespace,
    pub outside: Namespace,
    pub network: Network,
}

impl World {
    pub fn new() -> Self {
        Self::with(Backend::default())
    }

    pub fn with(firewall: Backend) -> Self {
        Self::on(Namespace::new(), firewall)
    }

    pub fn on(host: Namespace, firewall: Backend) -> Self {
        let outside = Namespace::new();
        host.connect(
            "wan0",
            &["198.51.100.1/24", "2001:db8::1/64"],
            &outside,
            "eth0",
            &["198.51.100.2/24", "2001:db8::2/64"],
        );
        let config = BridgeSettings {
            create: true,
            device: "scbr0".to_owned(),
            ip: BRIDGE.parse().unwrap(),
            prefix_len: 24,
            network: "10.9.3.0".parse().unwrap(),
            ip6: Some(("fd00:9:3::1".parse().unwrap(), 64)),
            firewall,
            ..BridgeSettings::default()
        };
        let network = host.run(|| Network::start(config)).unwrap();
        Self {
            host,
            outside,
            network,
        }
    }

    pub fn container(&self, id: i32) -> Container<'_> {
        let inside = Namespace::new();
        let items = self.host.run(|| self.network.lxc_items(id)).unwrap();
        let item = |key| {
            items
                .iter()
                .find(|(name, _)| *name == key)
                .unwrap()
                .1
                .clone()
        };
        let veth = item("lxc.net.0.veth.pair");
        let mac = item("lxc.net.0.hwaddr");
        self.host.connect(&veth, &[], &inside, "eth0", &[]);
        inside.ip("link set eth0 down");
        inside.ip("link set lo down");
        inside.ip(&format!("link set eth0 address {mac}"));
        self.host
            .run(|| self.network.attach(id, inside.fd()))
            .unwrap();
        Container {
            world: self,
            id,
            inside,
            connection: Connection::default(),
        }
    }
}

pub struct Container<'a> {
    world: &'a World,
    id: i32,
    pub inside: Namespace,
    connection: Connection,
}

impl Container<'_> {
    pub fn address(&self) -> String {
        self.world
            .network
            .addresses(self.id)
            .unwrap()
            .v4
            .to_string()
    }

    /// Connects it with what an array of elements of the network gateway permits; an empty one
    /// disconnects it.
    pub fn set(&mut self, config: &Value) -> Result<(), NetworkError> {
        let (permissions, rates) = permissions(config);
        let Self {
            world,
            id,
            inside,
            connection,
        } = self;
        let (id, inside) = (*id, &*inside);
        world.host.run(|| {
            let network = &world.network;
            let wanted = match permissions {
                Some(permissions) => Connection::new(network, permissions, rates),
                None => Connection::default(),
            };
            connection.change(network, id, inside.fd(), wanted)
        })
    }

    pub fn state(&self) -> String {
        let addresses = self.inside.ip("-br address");
        format!(
            "{addresses}\n{}\n{}\n{}",
            self.inside.ip("route"),
            self.inside.shell("nft --stateless list ruleset ip"),
            self.inside.shell("nft --stateless list ruleset ip6"),
        )
    }
}

fn permissions(config: &Value) -> (Option<Vec<Permission>>, RateLimits) {
    let mut settings = NetworkSettings::default();
    for element in config.as_array().unwrap() {
        settings.merge(element.as_object().unwrap()).unwrap();
    }
    let rates = RateLimits {
        egress: settings.rates.egress(),
        ingress: settings.rates.ingress(),
    };
    let permissions = settings.rules.into_iter().map(|rule| Permission {
        direction: rule.direction,
        peer: match rule.host {
            Host::Any => Peer::Anybody,
            Host::Gateway => Peer::Subnet(Subnet::host(BRIDGE.parse().unwrap())),
            Host::Network { address, prefix } => Peer::Subnet(Subnet::new(address, prefix)),
            Host::Name(name) => panic!("{name}: names are looked up by the agent"),
        },
        traffic: rule.traffic,
    });
    (settings.active.then(|| permissions.collect()), rates)
}
