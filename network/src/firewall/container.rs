//! The firewall inside a container.
//!
//! Everything is dropped, both ways, but loopback, what is permitted, and the answers to it. For
//! IPv6 that includes the few messages without which no neighbour can be found.

use std::fmt::Write as _;

use softwarecontainer_capability::traffic::{Direction, Traffic};

use super::{
    Family, FirewallError, iptables,
    rule::{Match, Rule, Verdict},
};
use crate::{
    permission::{Peer, Permission},
    sysctl,
};

// ICMPv6 types, RFC 4861, RFC 2710 and RFC 3810.
const NEIGHBOUR_SOLICITATION: u8 = 135;
const NEIGHBOUR_ADVERTISEMENT: u8 = 136;
const LISTENER_QUERY: u8 = 130;
const LISTENER_REPORT: u8 = 143;

/// What may pass in and out of a container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ContainerFirewall {
    permissions: Vec<Permission>,
    /// How many connections the container may have begun, for each family. The bound is for the
    /// host: each of them is in its table of connections, too, which would be full for all.
    connections: Option<u32>,
}

impl ContainerFirewall {
    pub(crate) fn new(permissions: Vec<Permission>, connections: u32) -> Self {
        Self {
            permissions,
            connections: Some(connections),
        }
    }

    /// Nothing may pass.
    pub(crate) fn closed() -> Self {
        Self {
            permissions: Vec::new(),
            connections: None,
        }
    }

    /// Loads the rules in the calling thread's network namespace, on a kernel that cannot count
    /// connections without the bound on them.
    ///
    /// # Errors
    /// [`FirewallError`]; the rules are then what they were.
    pub(crate) fn load(&self) -> Result<(), FirewallError> {
        match self.load_as_it_is() {
            Err(refused @ FirewallError::Refused { .. }) => {
                let unbounded = Self {
                    connections: None,
                    ..self.clone()
                };
                unbounded.load_as_it_is()?;
                log::warn!(
                    "containers can fill the host's table of connections: their number cannot be bounded \
                     (CONFIG_NETFILTER_XT_MATCH_CONNLIMIT): {refused}"
                );
                Ok(())
            }
            outcome => outcome,
        }
    }

    fn load_as_it_is(&self) -> Result<(), FirewallError> {
        let v4 = self.iptables(Family::V4);
        let v6 = self.iptables(Family::V6);
        let mut tables = vec![(Family::V4, v4.as_str())];
        if sysctl::exists("net/ipv6") {
            tables.push((Family::V6, v6.as_str()));
        }
        iptables::restore(&tables)
    }

    /// The whole filter table of one family, as text for iptables-restore(8).
    ///
    /// The rules replace those that are there in one step, and the chains with their policy of DROP
    /// stay. (To let the restore program replace the whole table is not the same: nft's variant
    /// then makes new chains, whose policy is ACCEPT until the kernel comes to the end of the
    /// change.)
    fn iptables(&self, family: Family) -> String {
        let mut text = "*filter\n".to_owned();
        let chains = [
            ("INPUT", self.input(family)),
            ("FORWARD", Vec::new()),
            ("OUTPUT", self.output(family)),
        ];
        for (chain, rules) in chains {
            let _ = writeln!(text, ":{chain} DROP [0:0]\n-F {chain}");
            for rule in rules {
                let _ = writeln!(text, "-A {chain} {}", rule.iptables(family));
            }
        }
        text.push_str("COMMIT\n");
        text
    }

    fn input(&self, family: Family) -> Vec<Rule> {
        let mut rules = vec![
            Rule::accept([Match::From("lo".to_owned())]),
            Rule::accept([Match::Established]),
        ];
        if family == Family::V6 {
            let kinds = [
                NEIGHBOUR_SOLICITATION,
                NEIGHBOUR_ADVERTISEMENT,
                LISTENER_QUERY,
            ];
            rules.extend(kinds.map(|kind| Rule::accept([Match::IcmpType(kind)])));
        }
        rules.extend(self.permitted(Direction::Incoming, family));
        rules
    }

    fn output(&self, family: Family) -> Vec<Rule> {
        let mut rules = vec![
            Rule::accept([Match::To("lo".to_owned())]),
            Rule::accept([Match::Established]),
        ];
        if let Some(most) = self.connections {
            let above = [Match::New, Match::ConnectionsAbove(most)];
            rules.push(Rule::new(above, Verdict::Drop));
        }
        if family == Family::V6 {
            let kinds = [
                NEIGHBOUR_SOLICITATION,
                NEIGHBOUR_ADVERTISEMENT,
                LISTENER_REPORT,
            ];
            rules.extend(kinds.map(|kind| Rule::accept([Match::IcmpType(kind)])));
        }
        rules.extend(self.permitted(Direction::Outgoing, family));
        rules
    }

    fn permitted(&self, direction: Direction, family: Family) -> impl Iterator<Item = Rule> {
        self.permissions
            .iter()
            .filter(move |one| one.direction == direction)
            .filter_map(move |one| {
                let peer = match one.peer {
                    Peer::Anybody => None,
                    Peer::Subnet(subnet) if subnet.family() != family => return None,
                    Peer::Subnet(subnet) => Some(match direction {
                        Direction::Incoming => Match::Source(subnet),
                        Direction::Outgoing => Match::Destination(subnet),
                    }),
                };
                // Also for incoming traffic the ports are those of the side that is called.
                let traffic = match one.traffic {
                    Traffic::Any => None,
                    Traffic::Icmp => Some(Match::Icmp),
                    Traffic::Tcp(ports) => Some(Match::Tcp(ports)),
                    Traffic::Udp(ports) => Some(Match::Udp(ports)),
                };
                Some(Rule::accept(peer.into_iter().chain(traffic)))
            })
    }
}

#[cfg(test)]
mod tests {
    use softwarecontainer_capability::traffic::Ports;

    use super::*;
    use crate::subnet::Subnet;

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

    /// The lines that are there because of the permissions.
    fn lines(family: Family, permissions: &[Permission]) -> Vec<String> {
        let closed = ContainerFirewall::new(Vec::new(), 100).iptables(family);
        let text = ContainerFirewall::new(permissions.to_vec(), 100).iptables(family);
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
            let text = ContainerFirewall::new(Vec::new(), 100).iptables(family);
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
            permission(Outgoing, "*", Traffic::Any),
            permission(Incoming, "*", Traffic::Icmp),
        ];
        assert_eq!(
            lines(V4, &all),
            ["-A INPUT -p icmp -j ACCEPT", "-A OUTPUT -j ACCEPT"]
        );
        assert_eq!(
            lines(V6, &all),
            ["-A INPUT -p ipv6-icmp -j ACCEPT", "-A OUTPUT -j ACCEPT"]
        );
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
}
