//! The same rules let the same packets pass, whoever puts them into the kernel.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod netns;
mod world;

use std::{fs, os::unix::fs::symlink};

use netns::{Namespace, probe::Echo};
use nix::{
    mount::{MsFlags, mount},
    sched::{CloneFlags, unshare},
};
use proptest::{prelude::*, strategy::ValueTree as _, test_runner::TestRunner};
use serde_json::{Value, json};
use softwarecontainer_network::Backend;
use world::{BRIDGE, Container, OUTSIDE, OUTSIDE6, World};

const PORTS: [u16; 3] = [53, 80, 90];
/// Where Debian says which variant a program's name means.
const ALTERNATIVES: &str = "/etc/alternatives";

/// For the calling thread, and those that it starts, the programs are those of the legacy variant.
fn install_legacy_iptables() {
    unshare(CloneFlags::CLONE_FS | CloneFlags::CLONE_NEWNS).unwrap();
    let none = None::<&str>;
    mount(none, "/", none, MsFlags::MS_SLAVE | MsFlags::MS_REC, none).unwrap();
    let links: Vec<_> = fs::read_dir(ALTERNATIVES)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        // One is a README.
        .filter_map(|link| Some((fs::read_link(&link).ok()?, link)))
        .collect();
    let tmpfs = Some("tmpfs");
    mount(tmpfs, ALTERNATIVES, tmpfs, MsFlags::empty(), none).unwrap();
    for (target, link) in links {
        let target = target
            .to_str()
            .unwrap()
            .replace("tables-nft", "tables-legacy");
        symlink(target, link).unwrap();
    }
}

fn rule() -> impl Strategy<Value = Value> {
    let host = prop::sample::select(vec![
        "*",
        OUTSIDE,
        OUTSIDE6,
        BRIDGE,
        "198.51.100.0/24",
        "0.0.0.0/0",
        "2001:db8::/33",
        "198.51.100.128/25",
    ]);
    let ports = prop::sample::select(vec![
        json!(80),
        json!("80-90"),
        json!("81-90"),
        json!([53, 90]),
        json!("1-65535"),
    ]);
    let protocols = prop::sample::select(vec![
        json!("tcp"),
        json!("udp"),
        json!("icmp"),
        json!(["tcp", "udp"]),
    ]);
    (host, ports, protocols).prop_map(|(host, ports, protocols)| {
        if protocols == "icmp" {
            json!({"host": host, "protocols": protocols})
        } else {
            json!({"host": host, "ports": ports, "protocols": protocols})
        }
    })
}

fn rules() -> impl Strategy<Value = Value> {
    let outgoing = prop::collection::vec(rule(), 0..4);
    let incoming = prop::collection::vec(rule(), 0..3);
    (outgoing, incoming).prop_map(|(outgoing, incoming)| {
        json!([
            {"direction": "OUTGOING", "allow": outgoing},
            {"direction": "INCOMING", "allow": incoming},
        ])
    })
}

/// A world with servers outside, on the host, and in a container whose rules change.
struct Tried<'a> {
    world: &'a World,
    container: Container<'a>,
    _servers: Vec<Echo>,
}

impl<'a> Tried<'a> {
    fn new(world: &'a World) -> Self {
        world.outside.ip("route add 10.9.3.0/24 via 198.51.100.1");
        let container = world.container(0);
        let everywhere = [&world.outside, &world.host, &container.inside];
        let servers = everywhere
            .iter()
            .flat_map(|at| PORTS.map(|port| Echo::start(at, port)))
            .collect();
        Self {
            world,
            container,
            _servers: servers,
        }
    }

    /// What passes, each with what was tried.
    fn passes(&mut self, rules: &Value) -> Vec<String> {
        self.container.set(rules).unwrap();
        let mut passed = Vec::new();
        let inside = &self.container.inside;
        let own = self.container.address();
        for to in [OUTSIDE, OUTSIDE6, BRIDGE] {
            for port in PORTS {
                let tcp = inside.tcp(to, port).map(|_| format!("tcp to {to} {port}"));
                let udp = inside.udp(to, port).map(|_| format!("udp to {to} {port}"));
                passed.extend(tcp.into_iter().chain(udp));
            }
            passed.extend(inside.ping(to).then(|| format!("ping to {to}")));
        }
        for (from, name) in [(&self.world.outside, "outside"), (&self.world.host, "host")] {
            let tcp = from.tcp(&own, 80).map(|_| format!("tcp from {name}"));
            let ping = from.ping(&own).then(|| format!("ping from {name}"));
            passed.extend(tcp.into_iter().chain(ping));
        }
        passed
    }
}

#[test]
fn the_kernel_is_told_by_netlink_unless_the_legacy_variant_is_in_use() {
    install_legacy_iptables();
    let by_netlink = World::with(Backend::Auto);
    let rules = by_netlink.host.shell("nft list tables");
    assert!(rules.contains("ip softwarecontainer-scbr0"), "{rules}");
    for used in ["iptables", "ip6tables"] {
        let host = Namespace::new();
        host.shell(&format!("{used}-legacy -A INPUT -j ACCEPT"));
        let before = host.shell(&format!("{used}-legacy -S"));
        let world = World::on(host, Backend::Auto);
        let legacy = world.host.shell("iptables-legacy -t nat -S");
        assert!(legacy.contains("SC-NAT-scbr0"), "{legacy}");
        assert_eq!(world.host.shell("nft list tables"), "");
        world.host.run(|| world.network.stop()).unwrap();
        assert_eq!(world.host.shell(&format!("{used}-legacy -S")), before);
    }
}

#[test]
fn the_same_packets_pass_by_netlink_and_by_the_legacy_variant_of_iptables() {
    install_legacy_iptables();
    let worlds = [Backend::NfTables, Backend::Iptables].map(World::with);
    let netlink = worlds[0].host.shell("nft list ruleset");
    assert!(
        netlink.contains("table ip softwarecontainer-scbr0"),
        "{netlink}"
    );
    let legacy = worlds[1].host.shell("iptables-legacy -t nat -S");
    assert!(legacy.contains("SC-NAT-scbr0"), "{legacy}");
    let [mut first, mut second] = worlds.each_ref().map(Tried::new);
    let cases = std::env::var("SOFTWARECONTAINER_BACKEND_CASES")
        .map_or(6, |text| text.parse().expect("a number of cases"));
    let mut runner = TestRunner::deterministic();
    let mut passed = 0;
    for _ in 0..cases {
        let rules = rules().new_tree(&mut runner).unwrap().current();
        let by_netlink = first.passes(&rules);
        assert_eq!(by_netlink, second.passes(&rules), "{rules}");
        passed += by_netlink.len();
    }
    assert!(passed > 0, "nothing passed at all");
}
