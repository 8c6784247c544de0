//! The firewall inside a container, as text for iptables-restore(8) and ip6tables-restore(8).
//!
//! Everything is dropped, both ways, but loopback, what the manifests allow, and the answers to it.
//! For IPv6 that includes the few messages without which no neighbour can be found.
//!
//! The rules replace those that are there in one step, and the chains with their policy of DROP
//! stay. (To let the restore program replace the whole table is not the same: nft's variant then
//! makes new chains, whose policy is ACCEPT until the kernel comes to the end of the change.)

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::net::IpAddr;

use softwarecontainer_capability::gateway::network::{Direction, Host, Ports, Rule, Traffic};

use softwarecontainer_network::iptables::Family;

/// Addresses by host name.
pub type Names = BTreeMap<String, BTreeSet<IpAddr>>;

/// Where the rules of both directions begin. What comes after it is about new connections only.
const HEAD: &str = "*filter
:INPUT DROP [0:0]
:FORWARD DROP [0:0]
:OUTPUT DROP [0:0]
-F INPUT
-F FORWARD
-F OUTPUT
-A INPUT -i lo -j ACCEPT
-A OUTPUT -o lo -j ACCEPT
-A INPUT -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT
-A OUTPUT -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT
";

/// The match that counts connections; kernels may lack it.
const BOUND: &str = "connlimit";

/// A table without the bound on connections.
#[must_use]
pub fn unbounded(table: &str) -> String {
    table
        .split_inclusive('\n')
        .filter(|line| !line.contains(BOUND))
        .collect()
}

/// Neighbour solicitation and advertisement both ways; being asked for multicast memberships, and
/// reporting them.
const NEIGHBOURS: &str = "-A INPUT -p ipv6-icmp -m icmp6 --icmpv6-type 135 -j ACCEPT
-A INPUT -p ipv6-icmp -m icmp6 --icmpv6-type 136 -j ACCEPT
-A INPUT -p ipv6-icmp -m icmp6 --icmpv6-type 130 -j ACCEPT
-A OUTPUT -p ipv6-icmp -m icmp6 --icmpv6-type 135 -j ACCEPT
-A OUTPUT -p ipv6-icmp -m icmp6 --icmpv6-type 136 -j ACCEPT
-A OUTPUT -p ipv6-icmp -m icmp6 --icmpv6-type 143 -j ACCEPT
";

/// The whole filter table of one family, for `connections` at most that the container may have
/// begun.
///
/// The bound is for the host: each of them is in its table of connections, too, which would be full
/// for all.
#[must_use]
pub fn table<'a>(
    family: Family,
    rules: impl IntoIterator<Item = &'a Rule>,
    names: &Names,
    connections: u32,
) -> String {
    let mut text = HEAD.to_owned();
    let _ = writeln!(
        text,
        "-A OUTPUT -m conntrack --ctstate NEW -m {BOUND} --connlimit-above {connections} --connlimit-mask 0 -j DROP"
    );
    if family == Family::V6 {
        text.push_str(NEIGHBOURS);
    }
    for rule in rules {
        for host in hosts(family, &rule.host, names) {
            add(&mut text, family, rule, &host);
        }
    }
    text.push_str("COMMIT\n");
    text
}

/// The addresses and networks of one family that a host stands for; an empty string is anybody.
fn hosts(family: Family, host: &Host, names: &Names) -> Vec<String> {
    let of_family = |address: &IpAddr| address.is_ipv4() == (family == Family::V4);
    match host {
        Host::Any => vec![String::new()],
        Host::Network { address, prefix } if of_family(address) => {
            vec![format!("{address}/{prefix}")]
        }
        Host::Network { .. } => Vec::new(),
        Host::Name(name) => names
            .get(name)
            .into_iter()
            .flatten()
            .filter(|address| of_family(address))
            .map(ToString::to_string)
            .collect(),
    }
}

fn add(text: &mut String, family: Family, rule: &Rule, host: &str) {
    let (chain, side) = match rule.direction {
        Direction::Incoming => ("INPUT", "-s"),
        Direction::Outgoing => ("OUTPUT", "-d"),
    };
    // Writing to a string cannot fail.
    let _ = write!(text, "-A {chain}");
    if !host.is_empty() {
        let _ = write!(text, " {side} {host}");
    }
    match (rule.traffic, family) {
        (Traffic::Any, _) => {}
        (Traffic::Icmp, Family::V4) => text.push_str(" -p icmp"),
        (Traffic::Icmp, Family::V6) => text.push_str(" -p ipv6-icmp"),
        (Traffic::Tcp(ports), _) => add_ports(text, "tcp", ports),
        (Traffic::Udp(ports), _) => add_ports(text, "udp", ports),
    }
    text.push_str(" -j ACCEPT\n");
}

/// Also for INCOMING traffic the ports are those of the side that is called, so always destination
/// ports.
fn add_ports(text: &mut String, protocol: &str, ports: Ports) {
    let _ = write!(text, " -p {protocol}");
    if ports == Ports::ALL {
        return;
    }
    if ports.first() == ports.last() {
        let _ = write!(text, " --dport {}", ports.first());
    } else {
        let _ = write!(text, " --dport {}:{}", ports.first(), ports.last());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(direction: Direction, host: &str, traffic: Traffic) -> Rule {
        Rule {
            direction,
            host: Host::parse(host).unwrap(),
            traffic,
        }
    }

    fn closed_table(family: Family) -> String {
        table(family, [], &Names::new(), 100)
    }

    /// The lines that are there because of `rules`.
    fn lines(family: Family, rules: &[Rule], names: &Names) -> Vec<String> {
        let closed = closed_table(family);
        let text = table(family, rules, names, 100);
        let lines = text
            .lines()
            .filter(|line| !closed.lines().any(|other| other == *line));
        lines.map(str::to_owned).collect()
    }

    fn port(port: u16) -> Ports {
        Ports::new(port, port).unwrap()
    }

    use Direction::{Incoming, Outgoing};
    use Family::{V4, V6};

    #[test]
    fn without_rules_only_loopback_replies_and_neighbours_pass() {
        for (family, accepted) in [(V4, 4), (V6, 10)] {
            let text = closed_table(family);
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
    fn anybody_means_both_families() {
        let all = [
            rule(Outgoing, "*", Traffic::Any),
            rule(Incoming, "*", Traffic::Icmp),
        ];
        assert_eq!(
            lines(V4, &all, &Names::new()),
            ["-A OUTPUT -j ACCEPT", "-A INPUT -p icmp -j ACCEPT"]
        );
        assert_eq!(
            lines(V6, &all, &Names::new()),
            ["-A OUTPUT -j ACCEPT", "-A INPUT -p ipv6-icmp -j ACCEPT"]
        );
    }

    #[test]
    fn an_address_is_a_rule_of_its_own_family_only() {
        let rules = [
            rule(Outgoing, "10.1.0.0/16", Traffic::Tcp(port(80))),
            rule(Outgoing, "fd00::1", Traffic::Udp(Ports::ALL)),
        ];
        assert_eq!(
            lines(V4, &rules, &Names::new()),
            ["-A OUTPUT -d 10.1.0.0/16 -p tcp --dport 80 -j ACCEPT"]
        );
        assert_eq!(
            lines(V6, &rules, &Names::new()),
            ["-A OUTPUT -d fd00::1/128 -p udp -j ACCEPT"]
        );
    }

    #[test]
    fn incoming_ports_are_ports_of_the_container() {
        let rules = [rule(
            Incoming,
            "10.0.3.0/24",
            Traffic::Tcp(Ports::new(8000, 8080).unwrap()),
        )];
        assert_eq!(
            lines(V4, &rules, &Names::new()),
            ["-A INPUT -s 10.0.3.0/24 -p tcp --dport 8000:8080 -j ACCEPT"]
        );
    }

    #[test]
    fn all_addresses_of_a_name_count() {
        let addresses = ["10.1.1.1", "10.1.1.2", "fd00::1"].map(|text| text.parse().unwrap());
        let names = Names::from([("example.com".to_owned(), BTreeSet::from(addresses))]);
        let rules = [rule(Outgoing, "example.com", Traffic::Tcp(port(443)))];
        assert_eq!(
            lines(V4, &rules, &names),
            [
                "-A OUTPUT -d 10.1.1.1 -p tcp --dport 443 -j ACCEPT",
                "-A OUTPUT -d 10.1.1.2 -p tcp --dport 443 -j ACCEPT"
            ]
        );
        assert_eq!(
            lines(V6, &rules, &names),
            ["-A OUTPUT -d fd00::1 -p tcp --dport 443 -j ACCEPT"]
        );
    }

    #[test]
    fn a_name_without_an_address_of_a_family_opens_nothing_there() {
        let names = Names::from([(
            "v4.example".to_owned(),
            BTreeSet::from(["10.1.1.1".parse().unwrap()]),
        )]);
        let rules = [rule(Outgoing, "v4.example", Traffic::Any)];
        assert!(lines(V6, &rules, &names).is_empty());
        assert!(lines(V4, &rules, &Names::new()).is_empty());
    }
}
