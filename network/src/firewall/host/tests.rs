use super::{
    super::chain::{load, unload},
    *,
};

fn load_all(firewall: &HostFirewall, saved: &str) -> String {
    let chains = firewall.chains(Family::V4);
    load(Family::V4, &chains.iter().collect::<Vec<_>>(), saved)
}

fn firewall() -> HostFirewall {
    let config = BridgeSettings {
        create: true,
        ..BridgeSettings::default()
    };
    let mut firewall = HostFirewall::new(&config).unwrap();
    firewall.arrange_routing();
    firewall
}

const FRESH: &str = "*nat\n:SC-NAT-lxcbr0 - [0:0]\n\
    -A SC-NAT-lxcbr0 -s 10.0.3.0/24 ! -d 10.0.3.0/24 -m comment --comment \"to the outside\" -j MASQUERADE\n\
    -A POSTROUTING -j SC-NAT-lxcbr0\nCOMMIT\n\
    *filter\n:SC-FWD-lxcbr0 - [0:0]\n-A SC-FWD-lxcbr0 -i lxcbr0 -m comment --comment \"from containers\" -j ACCEPT\n-A SC-FWD-lxcbr0 -o lxcbr0 -m comment --comment \"to containers\" -j ACCEPT\n\
    -A FORWARD -j SC-FWD-lxcbr0\nCOMMIT\n\
    *filter\n:SC-IN-lxcbr0 - [0:0]\n-A SC-IN-lxcbr0 -m conntrack --ctstate ESTABLISHED,RELATED -m comment --comment \"answers\" -j RETURN\n\
    -A SC-IN-lxcbr0 -p icmp -m icmp --icmp-type 8 -m comment --comment \"ping\" -j RETURN\n\
    -A SC-IN-lxcbr0 -p tcp --dport 53 -m comment --comment \"host-ports\" -j RETURN\n\
    -A SC-IN-lxcbr0 -p udp --dport 53 -m comment --comment \"host-ports\" -j RETURN\n\
    -A SC-IN-lxcbr0 -p tcp -m comment --comment \"not allowed\" -j REJECT --reject-with tcp-reset\n\
    -A SC-IN-lxcbr0 -m comment --comment \"not allowed\" -j REJECT --reject-with icmp-admin-prohibited\n\
    -I INPUT -i lxcbr0 -j SC-IN-lxcbr0\nCOMMIT\n";

#[test]
fn a_container_reaches_of_the_host_what_it_may_call_by_name() {
    use softwarecontainer_capability::traffic::{Direction, Ports, Traffic};
    let mut firewall = firewall();
    firewall.local = ["10.0.3.1", "192.0.2.1"]
        .map(|text| text.parse().unwrap())
        .into();
    let call = |address: &str, prefix| Permission {
        direction: Direction::Outgoing,
        peer: Peer::Subnet(Subnet::new(address.parse().unwrap(), prefix)),
        traffic: Traffic::Tcp(Ports::new(80, 80).unwrap()),
    };
    let visitor = Visitor {
        addresses: vec!["10.0.3.2".parse().unwrap()],
        permissions: vec![call("192.0.2.0", 24), call("198.51.100.0", 24)],
    };
    firewall.visitors.insert(0, visitor);
    let rules = firewall.guard_rules();
    let rules: Vec<String> = rules[&Family::V4]
        .iter()
        .map(|one| one.iptables(Family::V4))
        .collect();
    assert_eq!(
        rules,
        ["-s 10.0.3.2/32 -d 192.0.2.0/24 -p tcp --dport 80 \
          -m comment --comment \"OUTGOING 192.0.2.0/24 tcp 80\" -j RETURN"]
    );
}

#[test]
fn on_a_bridge_of_others_only_our_containers_are_kept_from_the_host() {
    let mut firewall = HostFirewall::new(&BridgeSettings::default()).unwrap();
    assert!(firewall.chains(Family::V4).is_empty());
    let visitor = Visitor {
        addresses: vec!["10.0.3.2".parse().unwrap()],
        permissions: Vec::new(),
    };
    firewall.visitors.insert(0, visitor);
    let chain = firewall.guard_chain(Family::V4);
    for rule in chain
        .rules
        .iter()
        .filter(|rule| rule.verdict != Verdict::Return)
    {
        assert!(
            rule.iptables(Family::V4).starts_with("-s 10.0.3.2/32 "),
            "{rule:?}"
        );
    }
}

#[test]
fn an_empty_host_gets_chains_and_jumps() {
    assert_eq!(load_all(&firewall(), ""), FRESH);
}

#[test]
fn a_jump_that_is_there_is_not_doubled_and_a_double_one_goes() {
    let once = "*nat\n-A POSTROUTING -j SC-NAT-lxcbr0\nCOMMIT\n*filter\n-A FORWARD -j SC-FWD-lxcbr0\nCOMMIT\n";
    let text = load_all(&firewall(), once);
    assert!(
        !text.contains("-A POSTROUTING -j") && !text.contains("-A FORWARD -j"),
        "{text}"
    );
    let twice = once.replace(
        "-A FORWARD -j SC-FWD-lxcbr0\n",
        "-A FORWARD -j SC-FWD-lxcbr0\n-A FORWARD -j SC-FWD-lxcbr0\n",
    );
    let text = load_all(&firewall(), &twice);
    assert_eq!(
        text.matches("-D FORWARD -j SC-FWD-lxcbr0").count(),
        1,
        "{text}"
    );
}

#[test]
fn a_jump_in_another_table_does_not_count() {
    let elsewhere = "*mangle\n-A POSTROUTING -j SC-NAT-lxcbr0\nCOMMIT\n";
    assert_eq!(load_all(&firewall(), elsewhere), FRESH);
}

#[test]
fn only_what_exists_is_removed() {
    let saved = "*nat\n:POSTROUTING ACCEPT [0:0]\n:SC-NAT-lxcbr0 - [0:0]\n-A POSTROUTING -j SC-NAT-lxcbr0\nCOMMIT\n";
    assert_eq!(
        unload(Family::V4, &firewall().chains(Family::V4), saved),
        "*nat\n-D POSTROUTING -j SC-NAT-lxcbr0\n-F SC-NAT-lxcbr0\n-X SC-NAT-lxcbr0\nCOMMIT\n"
    );
    assert_eq!(unload(Family::V4, &firewall().chains(Family::V4), ""), "");
}

#[test]
fn each_classified_container_has_a_rule_of_its_family() {
    let mut firewall = firewall();
    firewall.classes.insert(
        0,
        Classified {
            v4: Ipv4Addr::new(10, 0, 3, 2),
            v6: None,
            class: ClassId::parse("0x100001").unwrap(),
        },
    );
    assert_eq!(
        firewall.class_chain(Family::V4).rules[0].iptables(Family::V4),
        "-s 10.0.3.2/32 ! -o lxcbr0 -j CLASSIFY --set-class 10:1"
    );
    assert!(firewall.class_chain(Family::V6).rules.is_empty());
}
