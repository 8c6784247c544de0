//! The firewall inside a container.
//!
//! Nothing passes, neither way, but loopback, what is permitted, and the answers to it. For IPv6
//! that includes the few messages without which no neighbour can be found. What the container may
//! not send is refused, so that its apps need not wait; what it may not receive is dropped.

use std::fmt::Write as _;

use softwarecontainer_capability::{
    error_chain::Chain,
    traffic::{Direction, Ports, Traffic},
};

use super::{
    Family, FirewallError, iptables,
    rule::{Match, Rule, Verdict},
};
use crate::{
    limits::ConnectionLimits,
    permission::{Peer, Permission},
    subnet::Subnet,
    surroundings::Surroundings,
    sysctl,
};

// ICMPv6 types, RFC 4861, RFC 2710 and RFC 3810.
const NEIGHBOUR_SOLICITATION: u8 = 135;
const NEIGHBOUR_ADVERTISEMENT: u8 = 136;
const LISTENER_QUERY: u8 = 130;
const LISTENER_REPORT: u8 = 143;
/// Ports from which a DHCP server answers and to which it does, RFC 2131 and RFC 8415.
const DHCP_PORTS: [(u16, u16); 2] = [(67, 68), (547, 546)];

/// What the world outside may be told.
const WORLD: &str = "SC-WORLD";
/// Where it is decided whether a connection may be begun now.
const BEGIN: &str = "SC-BEGIN";

/// What may pass in and out of a container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ContainerFirewall {
    permissions: Vec<Permission>,
    surroundings: Surroundings,
    limits: ConnectionLimits,
}

/// What some kernels and installations of iptables lack, and containers can be without.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Extra {
    Bound,
    Rate,
    Refusal,
    Comment,
}

impl Extra {
    const ALL: [Self; 4] = [Self::Bound, Self::Rate, Self::Refusal, Self::Comment];

    /// What happens without it, with the option of the kernel.
    fn absence(self) -> &'static str {
        match self {
            Self::Bound => {
                "containers can fill the host's table of connections: their number cannot be bounded \
                 (CONFIG_NETFILTER_XT_MATCH_CONNLIMIT)"
            }
            Self::Rate => {
                "containers can fill the host's table of connections: how fast they begin them \
                 cannot be bounded (CONFIG_NETFILTER_XT_MATCH_LIMIT)"
            }
            Self::Refusal => {
                "apps wait for what is not allowed until they give up: it cannot be refused \
                 (CONFIG_IP_NF_TARGET_REJECT, CONFIG_IP6_NF_TARGET_REJECT)"
            }
            Self::Comment => "rules have no comments (CONFIG_NETFILTER_XT_MATCH_COMMENT)",
        }
    }

    fn is_in(self, rule: &Rule) -> bool {
        let matches = |wanted: fn(&Match) -> bool| rule.matches.iter().any(wanted);
        match self {
            Self::Bound => matches(|one| matches!(one, Match::ConnectionsAbove(_))),
            Self::Rate => {
                rule.verdict == Verdict::Jump(BEGIN)
                    || matches(|one| matches!(one, Match::Below { .. }))
            }
            Self::Refusal => matches!(rule.verdict, Verdict::Refuse | Verdict::Reset),
            Self::Comment => false,
        }
    }
}

/// A chain with its policy, if it is one of the system's.
type NamedChain = (&'static str, Option<Verdict>, Vec<Rule>);

impl ContainerFirewall {
    pub(crate) fn new(
        permissions: Vec<Permission>,
        surroundings: Surroundings,
        limits: ConnectionLimits,
    ) -> Self {
        Self {
            permissions,
            surroundings,
            limits,
        }
    }

    /// Whom the container may call by name.
    pub(crate) fn permissions(&self) -> &[Permission] {
        &self.permissions
    }

    /// Nothing may pass.
    pub(crate) fn closed() -> Self {
        Self::new(
            Vec::new(),
            Surroundings::default(),
            ConnectionLimits::default(),
        )
    }

    /// Loads the rules in the calling thread's network namespace; without what this kernel lacks
    /// and containers can be without.
    ///
    /// # Errors
    /// [`FirewallError`]; the rules are then what they were.
    pub(crate) fn load(&self) -> Result<(), FirewallError> {
        let refused = match self.load_with(&Extra::ALL) {
            Err(refused @ FirewallError::Refused { .. }) => refused,
            outcome => return outcome,
        };
        for lacking in Extra::ALL {
            let others = Extra::ALL.into_iter().filter(|one| *one != lacking);
            let others: Vec<Extra> = others.collect();
            if self.load_with(&others).is_ok() {
                log::warn!("{}: {}", lacking.absence(), Chain(&refused));
                return Ok(());
            }
        }
        self.load_with(&[])?;
        for lacking in Extra::ALL {
            log::warn!("perhaps {}: {}", lacking.absence(), Chain(&refused));
        }
        Ok(())
    }

    fn load_with(&self, extras: &[Extra]) -> Result<(), FirewallError> {
        let v4 = self.iptables(Family::V4, extras);
        let v6 = self.iptables(Family::V6, extras);
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
    fn iptables(&self, family: Family, extras: &[Extra]) -> String {
        let lacks = |rule: &Rule| {
            let lacking = Extra::ALL.iter().filter(|one| !extras.contains(one));
            lacking.into_iter().any(|one| one.is_in(rule))
        };
        let mut text = "*filter\n".to_owned();
        let chains = self.chains(family);
        // All are declared before any rule jumps there.
        for (name, policy, _) in &chains {
            let policy = if policy.is_some() { "DROP" } else { "-" };
            let _ = writeln!(text, ":{name} {policy} [0:0]\n-F {name}");
        }
        for (name, _, rules) in chains {
            for mut rule in rules.into_iter().filter(|rule| !lacks(rule)) {
                if !extras.contains(&Extra::Comment) {
                    rule.comment = None;
                }
                let _ = writeln!(text, "-A {name} {}", rule.iptables(family));
            }
        }
        text.push_str("COMMIT\n");
        text
    }

    fn chains(&self, family: Family) -> [NamedChain; 5] {
        [
            (WORLD, None, self.world(family)),
            (BEGIN, None, self.begin()),
            ("INPUT", Some(Verdict::Drop), self.input(family)),
            ("FORWARD", Some(Verdict::Drop), Vec::new()),
            ("OUTPUT", Some(Verdict::Drop), self.output(family)),
        ]
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
        let permitted = self.permissions.iter();
        let permitted = permitted.filter(|one| one.direction == Direction::Incoming);
        rules.extend(permitted.filter_map(|one| accept(one, family)));
        rules
    }

    fn output(&self, family: Family) -> Vec<Rule> {
        let mut rules = vec![
            Rule::accept([Match::To("lo".to_owned())]),
            Rule::accept([Match::Established]),
        ];
        let above = Match::ConnectionsAbove(self.limits.most);
        rules.push(Rule::new([Match::New, above], Verdict::Drop).with_comment("max-connections"));
        rules.push(Rule::new([Match::First], Verdict::Jump(BEGIN)));
        if family == Family::V6 {
            let kinds = [
                NEIGHBOUR_SOLICITATION,
                NEIGHBOUR_ADVERTISEMENT,
                LISTENER_REPORT,
            ];
            rules.extend(kinds.map(|kind| Rule::accept([Match::IcmpType(kind)])));
        }
        for (server, client) in DHCP_PORTS {
            if !self.names_port(client) {
                let rule = Rule::new([Match::UdpFrom(server)], Verdict::Refuse);
                rules.push(rule.with_comment("DHCP server"));
            }
        }
        let named = self.outgoing().filter(|one| one.peer != Peer::Anybody);
        rules.extend(named.filter_map(|one| accept(one, family)));
        if self.outgoing().any(|one| one.peer == Peer::Anybody) {
            rules.extend(self.outside(family));
        }
        rules.extend(Rule::refusals());
        rules
    }

    /// Sends what goes to the world outside, and the little of the host that is open to all, to
    /// the chain that knows what may be said there.
    fn outside(&self, family: Family) -> Vec<Rule> {
        let world = |matches: Vec<Match>| Rule::new(matches, Verdict::Jump(WORLD));
        let mut rules = Vec::new();
        for address in self.surroundings.bridge_addresses(family) {
            let host = Match::Destination(Subnet::host(address));
            rules.push(world(vec![host.clone(), Match::EchoRequest]));
            for open in self.surroundings.open_ports() {
                rules.push(world(vec![host.clone(), open]).with_comment("host-ports"));
            }
        }
        for near in self.surroundings.near(family) {
            let near = Match::Destination(near);
            rules.push(Rule::new([near.clone(), Match::AnyTcp], Verdict::Reset));
            rules.push(Rule::new([near.clone()], Verdict::Refuse));
            // Where nothing can be refused.
            rules.push(Rule::new([near], Verdict::Drop));
        }
        rules.push(world(Vec::new()));
        rules
    }

    fn world(&self, family: Family) -> Vec<Rule> {
        let world = self.outgoing().filter(|one| one.peer == Peer::Anybody);
        world.filter_map(|one| accept(one, family)).collect()
    }

    fn begin(&self) -> Vec<Rule> {
        let ConnectionLimits { rate, burst, .. } = self.limits;
        vec![
            Rule::new([Match::Below { rate, burst }], Verdict::Return),
            Rule::new([], Verdict::Drop).with_comment("connection-rate"),
        ]
    }

    fn outgoing(&self) -> impl Iterator<Item = &Permission> {
        let all = self.permissions.iter();
        all.filter(|one| one.direction == Direction::Outgoing)
    }

    /// Whether the container may send to this UDP port of somebody who is named, with the port
    /// named too.
    fn names_port(&self, port: u16) -> bool {
        self.outgoing().any(|one| match one.traffic {
            Traffic::Udp(ports) => {
                one.peer != Peer::Anybody
                    && ports != Ports::ALL
                    && (ports.first()..=ports.last()).contains(&port)
            }
            _ => false,
        })
    }
}

fn accept(permission: &Permission, family: Family) -> Option<Rule> {
    let matches = permission.matches(family)?;
    Some(Rule::accept(matches).with_comment(permission.to_string()))
}

#[cfg(test)]
mod tests;
