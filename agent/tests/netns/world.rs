//! A host with a bridge, containers on it, and the outside: one network namespace each.

use serde_json::Value;
use softwarecontainer_agent::gateway::network::Connection;
use softwarecontainer_capability::Settings;
use softwarecontainer_capability::gateway::network::NetworkSettings;
use softwarecontainer_network::BridgeSettings;
use softwarecontainer_network::Network;

use super::Namespace;

pub const OUTSIDE: &str = "198.51.100.2";
pub const OUTSIDE6: &str = "2001:db8::2";
pub const BRIDGE: &str = "10.9.3.1";
/// How many connections a container may begin.
const CONNECTIONS: u32 = 1000;

pub struct World {
    pub host: Namespace,
    pub outside: Namespace,
    pub network: Network,
}

impl World {
    pub fn new() -> Self {
        let host = Namespace::new();
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

    pub fn set(&mut self, config: &Value) -> Result<(), String> {
        let settings = settings(config);
        let Self {
            world,
            id,
            inside,
            connection,
        } = self;
        let (id, inside) = (*id, &*inside);
        world
            .host
            .run(|| connection.set(&world.network, id, inside.fd(), &settings, CONNECTIONS))
            .map_err(|error| error.to_string())
    }

    pub fn state(&self) -> String {
        let rules = |program| {
            let saved = self.inside.shell(program);
            saved
                .lines()
                .filter(|line| line.starts_with('-'))
                .collect::<Vec<_>>()
                .join("\n")
        };
        let addresses = self.inside.ip("-br address");
        format!(
            "{addresses}\n{}\n{}\n{}",
            self.inside.ip("route"),
            rules("iptables-save"),
            rules("ip6tables-save")
        )
    }
}

fn settings(config: &Value) -> NetworkSettings {
    let mut settings = NetworkSettings::default();
    for element in config.as_array().unwrap() {
        settings.merge(element.as_object().unwrap()).unwrap();
    }
    settings
}
