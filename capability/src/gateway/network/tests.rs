use super::*;
use crate::gateway::tests::merged;
use proptest::prelude::*;
use serde_json::json;
use std::net::IpAddr;

fn of(allow: Value) -> Result<NetworkSettings, ConfigError> {
    merged(json!([{"direction": "OUTGOING", "allow": [allow]}]))
}

fn traffic(allow: Value) -> Vec<Traffic> {
    of(allow)
        .unwrap()
        .rules
        .into_iter()
        .map(|rule| rule.traffic)
        .collect()
}

fn ports(first: u16, last: u16) -> Ports {
    Ports::new(first, last).unwrap()
}

fn network(address: &str, prefix: u8) -> Host {
    Host::Network {
        address: address.parse().unwrap(),
        prefix,
    }
}

#[test]
fn nothing_is_active_until_an_element_asks_for_it() {
    assert!(!NetworkSettings::default().active);
    let settings: NetworkSettings =
        merged(json!([{"direction": "INCOMING", "allow": []}])).unwrap();
    assert!(settings.active && settings.rules.is_empty());
}

#[test]
fn rates_alone_open_nothing_and_stand_beside_rules() {
    let rate = json!({"ingress-rate": "8mbit"});
    let settings: NetworkSettings = merged(json!([rate])).unwrap();
    assert!(!settings.active);
    assert_eq!(settings.rates.ingress(), Some(1_000_000));
    let both = json!({"ingress-rate": "8mbit", "direction": "OUTGOING", "allow": [{"host": "*"}]});
    let settings: NetworkSettings = merged(json!([both])).unwrap();
    assert!(settings.active && settings.rules.len() == 1);
    assert_eq!(settings.rates.ingress(), Some(1_000_000));
}

#[test]
fn neither_ports_nor_protocols_mean_everything() {
    assert_eq!(traffic(json!({"host": "*"})), [Traffic::Any]);
}

#[test]
fn ports_without_protocols_mean_tcp_and_udp() {
    let both = |p| vec![Traffic::Tcp(p), Traffic::Udp(p)];
    assert_eq!(
        traffic(json!({"host": "*", "ports": 80})),
        both(ports(80, 80))
    );
    assert_eq!(
        traffic(json!({"host": "*", "ports": "1-65535"})),
        both(ports(1, 65535))
    );
    assert_eq!(
        traffic(json!({"host": "*", "ports": "20:25"})),
        both(ports(20, 25))
    );
    assert_eq!(
        traffic(json!({"host": "*", "ports": "443"})),
        both(ports(443, 443))
    );
}

#[test]
fn each_port_of_a_list_makes_a_rule() {
    assert_eq!(
        traffic(json!({"host": "*", "ports": [443, 80, 443], "protocols": "tcp"})),
        [Traffic::Tcp(ports(80, 80)), Traffic::Tcp(ports(443, 443))]
    );
}

#[test]
fn protocols_without_ports_mean_all_ports() {
    assert_eq!(
        traffic(json!({"host": "*", "protocols": ["udp", "icmp", "tcp"]})),
        [
            Traffic::Icmp,
            Traffic::Tcp(Ports::ALL),
            Traffic::Udp(Ports::ALL)
        ]
    );
}

#[test]
fn ports_do_not_concern_icmp_beside_another_protocol() {
    assert_eq!(
        traffic(json!({"host": "*", "ports": 53, "protocols": ["udp", "icmp"]})),
        [Traffic::Icmp, Traffic::Udp(ports(53, 53))]
    );
}

#[test]
fn hosts_are_anybody_addresses_networks_or_names() {
    for (text, host) in [
        ("*", Host::Any),
        ("gateway", Host::Gateway),
        ("10.1.2.3", network("10.1.2.3", 32)),
        ("10.1.2.3/8", network("10.0.0.0", 8)),
        ("0.0.0.0/0", network("0.0.0.0", 0)),
        ("fd00::1", network("fd00::1", 128)),
        ("fd00:1:2::3/32", network("fd00:1::", 32)),
        ("::/0", network("::", 0)),
        ("Example.COM.", Host::Name("example.com".to_owned())),
        ("localhost", Host::Name("localhost".to_owned())),
        ("3com.com", Host::Name("3com.com".to_owned())),
    ] {
        assert_eq!(Host::parse(text), Ok(host), "{text}");
    }
}

#[test]
fn the_browser_example_of_the_documentation_parses() {
    let settings: NetworkSettings = merged(json!([
        {"direction": "OUTGOING", "allow": [
            {"host": "*", "protocols": ["tcp"], "ports": [80, 443]},
            {"host": "*", "protocols": "udp", "ports": 53}]}
    ]))
    .unwrap();
    assert_eq!(settings.rules.len(), 3);
    assert!(
        settings
            .rules
            .iter()
            .all(|rule| rule.direction == Direction::Outgoing)
    );
}

#[test]
fn what_is_malformed_is_refused_by_name() {
    for (element, wrong) in [
        (json!({"allow": []}), "direction: is missing"),
        (
            json!({"direction": "IN", "allow": []}),
            "direction: \"IN\" is neither",
        ),
        (
            json!({"direction": "outgoing", "allow": []}),
            "direction: \"outgoing\" is neither",
        ),
        (
            json!({"direction": 1, "allow": []}),
            "direction: must be a string",
        ),
        (json!({"direction": "INCOMING"}), "allow: is missing"),
        (
            json!({"direction": "INCOMING", "egress-rate": "2mbit"}),
            "allow: is missing",
        ),
        (
            json!({"egress-rate": "2m"}),
            "config[0].egress-rate: \"2m\" is neither",
        ),
        (
            json!({"ingress-rate": 2_000_000}),
            "ingress-rate: must be a string",
        ),
        (
            json!({"ingress-rate": "2mbit", "default": "yes"}),
            "default: must be true or false",
        ),
        (
            json!({"default": true, "direction": "INCOMING", "allow": []}),
            "default: true is of no use",
        ),
        (
            json!({"direction": "INCOMING", "allow": {}}),
            "allow: must be an array",
        ),
        (
            json!({"direction": "INCOMING", "allow": ["*"]}),
            "config[0].allow[0]: must be an object",
        ),
    ] {
        let error = merged::<NetworkSettings>(json!([element]))
            .unwrap_err()
            .to_string();
        assert!(error.contains(wrong), "{error}");
    }
    for (entry, wrong) in [
        (json!({}), "allow[0].host: is missing"),
        (json!({"host": 1}), "host: must be a string"),
        (json!({"host": ""}), "host: \"\" must not be empty"),
        (
            json!({"host": "10.0.0.256"}),
            "host: \"10.0.0.256\" is no IPv4 address",
        ),
        (json!({"host": "10.0.3"}), "is no IPv4 address"),
        (json!({"host": "1.2.3.0x4"}), "is no IPv4 address"),
        (
            json!({"host": "10.0.0.1/33"}),
            "prefix length that is too large",
        ),
        (
            json!({"host": "10.0.0.1/+8"}),
            "prefix length that is no number",
        ),
        (json!({"host": "fe80::1%eth0"}), "is no IPv6 address"),
        (
            json!({"host": "fd00::1/129"}),
            "prefix length that is too large",
        ),
        (
            json!({"host": "example.com/24"}),
            "is no address with a prefix length",
        ),
        (
            json!({"host": "a b"}),
            "is no address, network or host name",
        ),
        (
            json!({"host": "x\n-A OUTPUT -j ACCEPT"}),
            "is no address, network or host name",
        ),
        (json!({"host": "-j"}), "is no address, network or host name"),
        (json!({"host": "*", "ports": -1}), "ports: -1 is not a port"),
        (
            json!({"host": "*", "ports": 65536}),
            "ports: 65536 is not a port",
        ),
        (
            json!({"host": "*", "ports": 80.5}),
            "ports: 80.5 is not a port",
        ),
        (
            json!({"host": "*", "ports": "80-70"}),
            "is a range that ends before it begins",
        ),
        (
            json!({"host": "*", "ports": "http"}),
            "ports: \"http\" is not a range",
        ),
        (json!({"host": "*", "ports": "1-2-3"}), "is not a range"),
        (json!({"host": "*", "ports": "+1-2"}), "is not a range"),
        (json!({"host": "*", "ports": ""}), "is not a range"),
        (
            json!({"host": "*", "ports": []}),
            "ports: must have at least one element",
        ),
        (
            json!({"host": "*", "ports": [80, "90"]}),
            "ports[1]: must be a number",
        ),
        (
            json!({"host": "*", "ports": true}),
            "ports: must be a number",
        ),
        (
            json!({"host": "*", "protocols": "sctp"}),
            "protocols: \"sctp\" is none of",
        ),
        (
            json!({"host": "*", "protocols": "TCP"}),
            "protocols: \"TCP\" is none of",
        ),
        (
            json!({"host": "*", "protocols": []}),
            "protocols: must have at least one element",
        ),
        (
            json!({"host": "*", "protocols": ["tcp", 6]}),
            "protocols[1]: must be a string",
        ),
        (
            json!({"host": "*", "protocols": null}),
            "protocols: must be a string",
        ),
        (
            json!({"host": "*", "protocols": "icmp", "ports": 80}),
            "ports: 80 is of no use",
        ),
        (
            json!({"host": "*", "port": 80}),
            "port: 80 belongs to no known key",
        ),
    ] {
        let error = of(entry).unwrap_err().to_string();
        assert!(error.contains(wrong), "{error}");
    }
}

fn any_host() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("*".to_owned()),
        (any::<[u8; 4]>(), 0..=32_u8).prop_map(|(a, n)| format!("{}/{n}", IpAddr::from(a))),
        (any::<[u8; 16]>(), 0..=128_u8).prop_map(|(a, n)| format!("{}/{n}", IpAddr::from(a))),
        "[a-z][a-z0-9]{0,8}(\\.[a-z]{2,5}){0,2}",
    ]
}

fn any_entry() -> impl Strategy<Value = Value> {
    let protocols = prop::sample::subsequence(vec!["tcp", "udp", "icmp"], 1..=3);
    (
        any_host(),
        prop::option::of(any::<[u16; 2]>()),
        prop::option::of(protocols),
    )
        .prop_map(|(host, ports, protocols)| {
            let mut entry = json!({ "host": host });
            let has_ports = protocols.as_ref().is_none_or(|list| list != &["icmp"]);
            if let Some([a, b]) = ports.filter(|_| has_ports) {
                entry["ports"] = json!(format!("{}-{}", a.min(b), a.max(b)));
            }
            if let Some(protocols) = protocols {
                entry["protocols"] = json!(protocols);
            }
            entry
        })
}

fn any_config() -> impl Strategy<Value = Vec<Value>> {
    let element = (any::<bool>(), prop::collection::vec(any_entry(), 0..4)).prop_map(|(incoming, allow)| {
        json!({"direction": if incoming { "INCOMING" } else { "OUTGOING" }, "allow": allow})
    });
    prop::collection::vec(element, 1..4)
}

proptest! {
    #[test]
    fn merging_knows_no_order_and_no_repetition_and_only_adds(a in any_config(), b in any_config()) {
        let of = |parts: &[&[Value]]| merged::<NetworkSettings>(parts.concat().into()).unwrap();
        let both = of(&[&a, &b]);
        prop_assert_eq!(&both, &of(&[&b, &a]));
        prop_assert_eq!(&both, &of(&[&a, &b, &a, &b]));
        prop_assert!(both.rules.is_superset(&of(&[&a]).rules));
    }

    #[test]
    fn a_host_reads_back_as_it_is_shown(text in any_host()) {
        let host = Host::parse(&text).unwrap();
        prop_assert_eq!(Host::parse(&host.to_string()).unwrap(), host);
    }

    #[test]
    fn no_host_can_smuggle_anything_into_a_rule(text in "\\PC*|[ -~\\n]*") {
        if let Ok(host) = Host::parse(&text) {
            let safe = |b: u8| b.is_ascii_alphanumeric() || b"*.:/-_".contains(&b);
            let shown = host.to_string();
            prop_assert!(shown.bytes().all(safe) && !shown.starts_with('-'), "{}", shown);
        }
    }
}
