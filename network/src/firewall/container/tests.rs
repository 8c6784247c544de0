use std::net::Ipv4Addr;

use softwarecontainer_capability::traffic::Ports;

use super::*;
use crate::settings::BridgeSettings;

use Direction::{Incoming, Outgoing};
use Family::{V4, V6};

fn permission(direction: Direction, peer: &str, traffic: Traffic) -> Permission {
    let peer = match peer.split_once('/') {
        None => Peer::Anybody,
        Some((address, prefix)) => Peer::Subnet(Subnet::new(
            address.parse().unwrap(),
            prefix.parse().unwrap(),
        )),
    };
    Permission {
        direction,
        peer,
        traffic,
    }
}

fn text(family: Family, permissions: &[Permission]) -> String {
    let settings = BridgeSettings {
        ip: Ipv4Addr::new(10, 0, 3, 1),
        ..BridgeSettings::default()
    };
    let surroundings = Surroundings::new(&settings, &settings.address_plan());
    let limits = ConnectionLimits::default();
    let firewall = ContainerFirewall::new(
        permissions.to_vec(),
        surroundings,
        limits,
        Backend::Iptables,
    );
    firewall.iptables(family, 7, &[Extra::Bound, Extra::Rate, Extra::Refusal])
}

/// The lines that are there because of the permissions.
fn lines(family: Family, permissions: &[Permission]) -> Vec<String> {
    let closed = text(family, &[]);
    let text = text(family, permissions);
    let lines = text
        .lines()
        .filter(|line| !closed.lines().any(|other| other == *line));
    lines.map(str::to_owned).collect()
}

fn port(port: u16) -> Ports {
    Ports::new(port, port).unwrap()
}

#[test]
fn without_permissions_only_loopback_replies_and_neighbours_pass() {
    for (family, accepted) in [(V4, 4), (V6, 10)] {
        let text = text(family, &[]);
        for chain in ["INPUT", "FORWARD", "OUTPUT"] {
            assert!(text.contains(&format!(":{chain} DROP")), "{text}");
        }
        assert_eq!(text.matches("-j ACCEPT").count(), accepted, "{text}");
        assert!(
            text.starts_with("*filter\n") && text.ends_with("\nCOMMIT\n"),
            "{text}"
        );
    }
}

#[test]
fn anybody_is_the_world_outside_for_what_the_container_starts() {
    let all = [
        permission(Outgoing, "*", Traffic::Tcp(port(80))),
        permission(Incoming, "*", Traffic::Icmp),
    ];
    assert_eq!(
        lines(V4, &all),
        [
            "-A SC-WORLD -p tcp --dport 80 -j ACCEPT",
            "-A INPUT -p icmp -j ACCEPT",
            "-A OUTPUT -d 10.0.3.1/32 -p icmp -m icmp --icmp-type 8 -j SC-WORLD",
            "-A OUTPUT -d 10.0.3.1/32 -p tcp --dport 53 -j SC-WORLD",
            "-A OUTPUT -d 10.0.3.1/32 -p udp --dport 53 -j SC-WORLD",
            "-A OUTPUT -d 10.0.3.0/24 -j SC-REFUSE",
            "-A OUTPUT -d 224.0.0.0/4 -j SC-REFUSE",
            "-A OUTPUT -d 255.255.255.255/32 -j SC-REFUSE",
            "-A OUTPUT -j SC-WORLD",
        ]
    );
    let v6 = lines(V6, &all);
    assert!(
        v6.contains(&"-A OUTPUT -d fe80::/10 -j SC-REFUSE".to_owned()),
        "{v6:?}"
    );
    assert!(
        v6.contains(&"-A OUTPUT -d ff00::/8 -j SC-REFUSE".to_owned()),
        "{v6:?}"
    );
}

#[test]
fn answers_of_a_dhcp_server_need_a_rule_that_names_their_port() {
    const REFUSED: &str = "-p udp --sport 67 -j SC-REFUSE";
    let all = permission(Outgoing, "10.0.3.0/24", Traffic::Any);
    assert!(text(V4, &[all]).contains(REFUSED));
    let named = permission(Outgoing, "10.0.3.0/24", Traffic::Udp(port(68)));
    assert!(!text(V4, &[named]).contains(REFUSED));
}

#[test]
fn what_a_kernel_lacks_is_left_out() {
    let firewall = ContainerFirewall::closed(Backend::Iptables);
    let all = firewall.iptables(V4, 7, &Extra::ALL);
    for (extra, trace) in [
        (Extra::Bound, "connlimit"),
        (Extra::Rate, "-m limit"),
        (Extra::Refusal, "REJECT"),
        (Extra::Comment, "--comment"),
        (Extra::Log, "-j LOG"),
    ] {
        assert!(all.contains(trace), "{all}");
        let others = Extra::ALL.into_iter().filter(|one| *one != extra);
        let without = firewall.iptables(V4, 7, &others.collect::<Vec<_>>());
        assert!(!without.contains(trace), "{without}");
    }
}

#[test]
fn an_address_counts_in_its_own_family_only() {
    let permissions = [
        permission(Outgoing, "10.1.0.0/16", Traffic::Tcp(port(80))),
        permission(Outgoing, "fd00::1/128", Traffic::Udp(Ports::ALL)),
    ];
    assert_eq!(
        lines(V4, &permissions),
        ["-A OUTPUT -d 10.1.0.0/16 -p tcp --dport 80 -j ACCEPT"]
    );
    assert_eq!(
        lines(V6, &permissions),
        ["-A OUTPUT -d fd00::1/128 -p udp -j ACCEPT"]
    );
}

#[test]
fn incoming_ports_are_ports_of_the_container() {
    let ports = Ports::new(8000, 8080).unwrap();
    let permissions = [permission(Incoming, "10.0.3.0/24", Traffic::Tcp(ports))];
    assert_eq!(
        lines(V4, &permissions),
        ["-A INPUT -s 10.0.3.0/24 -p tcp --dport 8000:8080 -j ACCEPT"]
    );
}

#[test]
fn the_log_tells_the_container_and_the_direction_before_a_packet_ends() {
    let all = ContainerFirewall::closed(Backend::Iptables).iptables(V4, 7, &Extra::ALL);
    let position = |text: &str| all.find(text).unwrap_or_else(|| panic!("{text}: {all}"));
    let refused = position(
        r#"-A SC-REFUSE -m limit --limit 1/second --limit-burst 10 -m comment --comment "log" -j LOG --log-prefix "SC-7 OUTGOING: ""#,
    );
    assert!(
        refused < position("-A SC-REFUSE -p tcp -m comment --comment \"not allowed\" -j REJECT"),
        "{all}"
    );
    let input = all.lines().rfind(|line| line.starts_with("-A INPUT"));
    assert!(
        input
            .unwrap()
            .ends_with(r#"-j LOG --log-prefix "SC-7 INCOMING: ""#),
        "{all}"
    );
}
