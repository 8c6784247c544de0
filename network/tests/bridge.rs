//! The bridge on a host that is a network namespace of the test's own.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod netns;

use std::net::Ipv4Addr;

use netns::Namespace;
use softwarecontainer_capability::class_id::ClassId;
use softwarecontainer_network::{
    Bridge, BridgeError, BridgeSettings, Changes, Classified, Network,
};

fn config() -> BridgeSettings {
    BridgeSettings {
        create: true,
        device: "scbr0".to_owned(),
        ip: Ipv4Addr::new(10, 9, 3, 1),
        prefix_len: 24,
        network: Ipv4Addr::new(10, 9, 3, 0),
        ip6: Some(("fd00:9:3::1".parse().unwrap(), 64)),
        ..BridgeSettings::default()
    }
}

fn ensure(host: &Namespace, config: BridgeSettings) -> Result<Bridge, BridgeError> {
    host.run(|| Bridge::ensure(config))
}

/// Everything that a bridge changes on a host.
fn state(host: &Namespace) -> String {
    format!(
        "{}\n{}\n{}\n{}\n{}",
        host.ip("-br address"),
        host.shell("nft --stateless list ruleset ip"),
        host.shell("nft --stateless list ruleset ip6"),
        host.shell("sysctl net.ipv4.ip_forward net.ipv6.conf.all.forwarding"),
        host.ip("route"),
    )
}

#[test]
fn it_is_made_with_address_forwarding_and_masquerading_and_undone_again() {
    let host = Namespace::new();
    let before = state(&host);
    let mut bridge = ensure(&host, config()).unwrap();
    let during = state(&host);
    for wanted in [
        "10.9.3.1/24",
        "fd00:9:3::1/64",
        "ip saddr 10.9.3.0/24 ip daddr != 10.9.3.0/24 counter masquerade",
        "ip6 saddr fd00:9:3::/64 ip6 daddr != fd00:9:3::/64 counter masquerade",
        "net.ipv4.ip_forward = 1",
        "net.ipv6.conf.all.forwarding = 1",
    ] {
        assert!(
            during.contains(wanted),
            "{wanted} is missing from\n{during}"
        );
    }
    host.run(|| bridge.undo()).unwrap();
    assert_eq!(state(&host), before);
}

#[test]
fn what_a_stop_has_undone_is_not_repaired() {
    let host = Namespace::new();
    let before = state(&host);
    host.run(|| {
        let network = Network::start(config()).unwrap();
        network.stop().unwrap();
        // The bridge's end is told as a change of the host's network.
        assert_eq!(network.keep_up(&Changes::ANYTHING), None);
    });
    assert_eq!(state(&host), before);
}

#[test]
fn an_agent_that_was_killed_leaves_nothing_double_and_nothing_for_ever() {
    let host = Namespace::new();
    let before = state(&host);
    drop(ensure(&host, config()).unwrap());
    let first = state(&host);
    drop(ensure(&host, config()).unwrap());
    let mut again = ensure(&host, config()).unwrap();
    assert_eq!(state(&host), first);
    host.run(|| again.undo()).unwrap();
    assert_eq!(state(&host), before);
}

#[test]
fn forwarding_that_was_on_stays_on() {
    let host = Namespace::new();
    host.shell("sysctl -w net.ipv4.ip_forward=1");
    let before = state(&host);
    let mut bridge = ensure(&host, config()).unwrap();
    host.run(|| bridge.undo()).unwrap();
    assert_eq!(state(&host), before);
}

#[test]
fn two_agents_share_forwarding_and_the_last_one_switches_it_off() {
    let host = Namespace::new();
    let other = BridgeSettings {
        device: "scbr1".to_owned(),
        ip: Ipv4Addr::new(10, 9, 4, 1),
        network: Ipv4Addr::new(10, 9, 4, 0),
        ip6: None,
        ..config()
    };
    let forwarding = || {
        host.shell("sysctl -n net.ipv4.ip_forward")
            .trim()
            .to_owned()
    };
    let mut first = ensure(&host, config()).unwrap();
    let mut second = ensure(&host, other).unwrap();
    host.run(|| first.undo()).unwrap();
    assert_eq!(forwarding(), "1");
    assert!(state(&host).contains("SC-NAT-scbr1"));
    host.run(|| second.undo()).unwrap();
    assert_eq!(forwarding(), "0");
}

#[test]
fn rules_of_others_are_left_alone() {
    let host = Namespace::new();
    host.shell("iptables -A FORWARD -s 192.0.2.1 -j DROP");
    host.shell("iptables -t nat -A POSTROUTING -s 192.0.2.0/24 -j MASQUERADE");
    host.shell("iptables -P FORWARD DROP");
    let before = state(&host);
    let mut bridge = ensure(&host, config()).unwrap();
    let during = state(&host);
    let rules = before.lines().filter(|line| line.contains("counter"));
    for line in rules {
        assert!(during.contains(line), "{line} is missing from\n{during}");
    }
    let saved = host.shell("iptables-save");
    for line in [
        "-A FORWARD -s 192.0.2.1/32 -j DROP\n-A FORWARD -j SC-FWD-scbr0\n",
        "-A SC-FWD-scbr0 -i scbr0 -m comment --comment \"from containers\" -j ACCEPT\n",
        "-A POSTROUTING -s 192.0.2.0/24 -j MASQUERADE\n-A POSTROUTING -j SC-NAT-scbr0\n",
        "-A SC-NAT-scbr0 -s 10.9.3.0/24 ! -d 10.9.3.0/24 -m comment --comment \"to the outside\" -j MASQUERADE\n",
    ] {
        assert!(saved.contains(line), "{line} is missing from\n{saved}");
    }
    host.run(|| bridge.undo()).unwrap();
    assert_eq!(state(&host), before);
    assert!(
        host.shell("iptables -S FORWARD")
            .contains("-P FORWARD DROP")
    );
}

#[test]
fn rules_lost_in_a_reload_by_others_come_back() {
    let host = Namespace::new();
    let mut bridge = ensure(&host, config()).unwrap();
    let class = Classified {
        v4: Ipv4Addr::new(10, 9, 3, 2),
        v6: Some("fd00:9:3::2".parse().unwrap()),
        class: ClassId::parse("0x100001").unwrap(),
    };
    host.run(|| bridge.firewall().set_class(0, Some(class)))
        .unwrap();
    let first = state(&host);
    assert!(
        first.contains("oifname != \"scbr0\" counter meta priority set 10:1"),
        "{first}"
    );
    assert!(
        first.contains("ip6 saddr fd00:9:3::2 oifname != \"scbr0\" counter meta priority"),
        "{first}"
    );
    host.shell("nft flush ruleset");
    assert!(!state(&host).contains("SC-"));
    host.run(|| bridge.firewall().repair()).unwrap();
    assert_eq!(state(&host), first);
    host.shell("nft flush table ip softwarecontainer-scbr0");
    host.run(|| bridge.firewall().repair()).unwrap();
    assert_eq!(state(&host), first);
    host.run(|| bridge.firewall().set_class(0, None)).unwrap();
    assert!(!state(&host).contains("meta priority"));
}

#[test]
fn classes_of_an_agent_that_was_killed_do_not_outlive_it() {
    let host = Namespace::new();
    let mut bridge = ensure(&host, config()).unwrap();
    let class = Classified {
        v4: Ipv4Addr::new(10, 9, 3, 2),
        v6: None,
        class: ClassId::parse("0x100001").unwrap(),
    };
    host.run(|| bridge.firewall().set_class(0, Some(class)))
        .unwrap();
    drop(bridge);
    let mut again = ensure(&host, config()).unwrap();
    assert!(!state(&host).contains("meta priority"));
    host.run(|| again.undo()).unwrap();
    assert!(!state(&host).contains("SC-"));
}

#[test]
fn a_bridge_of_the_integrator_is_used_as_it_is() {
    let host = Namespace::new();
    host.ip("link add scbr0 type bridge");
    host.ip("address add 10.9.3.1/24 dev scbr0");
    host.ip("link set scbr0 up");
    let before = state(&host);
    for create in [false, true] {
        let mut bridge = ensure(
            &host,
            BridgeSettings {
                create,
                ip6: None,
                ..config()
            },
        )
        .unwrap();
        assert_eq!(state(&host), before);
        host.run(|| bridge.undo()).unwrap();
        assert_eq!(state(&host), before);
    }
}

#[test]
fn an_absent_bridge_that_may_not_be_made_is_an_error() {
    let host = Namespace::new();
    let error = ensure(
        &host,
        BridgeSettings {
            create: false,
            ..config()
        },
    )
    .unwrap_err();
    assert_eq!(
        error.to_string(),
        "bridge scbr0 does not exist, and the configuration says not to create it"
    );
}

#[test]
fn what_cannot_be_used_is_refused_by_name() {
    let host = Namespace::new();
    host.ip("link add scbr0 type bridge");
    host.ip("address add 10.9.9.1/24 dev scbr0");
    let error = ensure(&host, config()).unwrap_err().to_string();
    assert!(
        error.contains("scbr0 exists without the configured address 10.9.3.1/24"),
        "{error}"
    );
    assert!(error.contains("10.9.9.1/24"), "{error}");
    host.ip("link delete scbr0");
    host.ip("link add scbr0 type veth peer name other");
    let error = ensure(&host, config()).unwrap_err().to_string();
    assert_eq!(error, "network interface scbr0 is no bridge but veth");
}

#[test]
fn a_bridge_that_others_have_joined_stays() {
    let host = Namespace::new();
    let mut bridge = ensure(&host, config()).unwrap();
    host.ip("link add guest type veth peer name other");
    host.ip("link set guest master scbr0");
    host.run(|| bridge.undo()).unwrap();
    assert!(host.ip("-br link").contains("scbr0"));
    assert!(!state(&host).contains("SC-"));
}

#[test]
fn a_failure_half_way_leaves_nothing() {
    let host = Namespace::new();
    let before = state(&host);
    let bad = BridgeSettings {
        ip6: Some(("ff02::1".parse().unwrap(), 64)),
        ..config()
    };
    let error = ensure(&host, bad).unwrap_err().to_string();
    assert!(
        error.starts_with("cannot add address ff02::1/64 to scbr0"),
        "{error}"
    );
    assert_eq!(state(&host), before);
}
