//! The firewall inside a container.
//!
//! Nothing passes, neither way, but loopback, what is permitted, and the answers to it. For IPv6
//! that includes the few messages without which no neighbour can be found. What the container may
//! not send is refused, so that its apps need not wait; what it may not receive is dropped.

mod extra;

use std::fmt::Write as _;

use softwarecontainer_capability::{
    error_chain::Chain,
    traffic::{Direction, Ports, Traffic},
};

use extra::{BEGIN, Extra};

use super::{
    Backend, Family, FirewallError, iptables,
    nft::{Batch, Hook},
    rule::{Match, Rule, Verdict},
};
use crate::{
    limits::ConnectionLimits,
    permission::{Peer, Permission},
    subnet::Subnet,
    surroundings::Surroundings,
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
/// Packets that the kernel's log tells of, for each family and direction: in a second, and at once.
const LOGGED: (u32, u32) = (1, 10);

/// The table in nf_tables.
pub(super) const TABLE: &str = "softwarecontainer";

/// Where what may not be sent ends.
const REFUSE: &str = "SC-REFUSE";

/// What may pass in and out of a container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ContainerFirewall {
    permissions: Vec<Permission>,
    surroundings: Surroundings,
    limits: ConnectionLimits,
    backend: Backend,
}

/// A chain with its place in the kernel, where its policy is to drop, or without one.
type NamedChain = (&'static str, Option<Hook>, Vec<Rule>);

impl ContainerFirewall {
    pub(crate) fn new(
        permissions: Vec<Permission>,
        surroundings: Surroundings,
        limits: ConnectionLimits,
        backend: Backend,
    ) -> Self {
        Self {
            permissions,
            surroundings,
            limits,
            backend,
        }
    }

    /// Whom the container may call by name.
    pub(crate) fn permissions(&self) -> &[Permission] {
        &self.permissions
    }

    /// Nothing may pass.
    pub(crate) fn closed(backend: Backend) -> Self {
        Self::new(
            Vec::new(),
            Surroundings::default(),
            ConnectionLimits::default(),
            backend,
        )
    }

    /// Loads the rules in the calling thread's network namespace; without what this kernel lacks
    /// and containers can be without. The kernel's log calls the container by its number `id`.
    ///
    /// # Errors
    /// [`FirewallError`]; the rules are then what they were.
    pub(crate) fn load(&self, id: i32) -> Result<(), FirewallError> {
        match self.load_with(id, &Extra::ALL) {
            Err(error) if error.is_refusal() => {}
            outcome => return outcome,
        }
        self.load_with(id, &[])?;
        let mut extras = Vec::new();
        for extra in Extra::ALL {
            extras.push(extra);
            if let Err(refused) = self.load_with(id, &extras) {
                extras.pop();
                log::warn!("{}: {}", extra.absence(), Chain(&refused));
            }
        }
        Ok(())
    }

    fn load_with(&self, id: i32, extras: &[Extra]) -> Result<(), FirewallError> {
        let families = [Family::V4, Family::V6];
        let families = families.into_iter().filter(|family| family.is_there());
        if self.backend == Backend::NfTables {
            let mut batch = Batch::default();
            for family in families {
                self.add_to(&mut batch, family, id, extras);
            }
            return Ok(batch.commit()?);
        }
        let texts: Vec<_> = families
            .map(|family| (family, self.iptables(family, id, extras)))
            .collect();
        let texts = texts.iter().map(|(family, text)| (*family, text.as_str()));
        iptables::restore(&texts.collect::<Vec<_>>())
    }

    /// The rules of one family for nf_tables: in one step with those that they replace, in chains
    /// that stay.
    fn add_to(&self, batch: &mut Batch, family: Family, id: i32, extras: &[Extra]) {
        let chains = self.chains(family, id, extras);
        batch.table(family, TABLE);
        // All are declared before any rule jumps there.
        for (name, hook, _) in &chains {
            match hook {
                Some(hook) => batch.base_chain(family, TABLE, name, *hook, &Verdict::Drop),
                None => batch.chain(family, TABLE, name),
            }
        }
        for (name, _, rules) in &chains {
            for rule in rules {
                batch.rule(family, TABLE, name, rule);
            }
        }
    }

    /// The whole filter table of one family, as text for iptables-restore(8).
    ///
    /// The rules replace those that are there in one step, and the chains with their policy of DROP
    /// stay. (To let the restore program replace the whole table is not the same: nft's variant
    /// then makes new chains, whose policy is ACCEPT until the kernel comes to the end of the
    /// change.)
    fn iptables(&self, family: Family, id: i32, extras: &[Extra]) -> String {
        let mut text = "*filter\n".to_owned();
        let chains = self.chains(family, id, extras);
        // All are declared before any rule jumps there.
        for (name, hook, _) in &chains {
            let policy = if hook.is_some() { "DROP" } else { "-" };
            let _ = writeln!(text, ":{name} {policy} [0:0]\n-F {name}");
        }
        for (name, _, rules) in chains {
            for rule in rules {
                let _ = writeln!(text, "-A {name} {}", rule.iptables(family));
            }
        }
        text.push_str("COMMIT\n");
        text
    }

    fn chains(&self, family: Family, id: i32, extras: &[Extra]) -> [NamedChain; 6] {
        let mut chains = [
            (REFUSE, None, refuse(id)),
            (WORLD, None, self.world(family)),
            (BEGIN, None, self.begin()),
            ("INPUT", Some(Hook::INPUT), self.input(family, id)),
            ("FORWARD", Some(Hook::FORWARD), Vec::new()),
            ("OUTPUT", Some(Hook::OUTPUT), self.output(family)),
        ];
        let lacking = Extra::ALL.into_iter().filter(|one| !extras.contains(one));
        let lacking: Vec<_> = lacking.collect();
        for (_, _, rules) in &mut chains {
            rules.retain(|rule| !lacking.iter().any(|one| one.is_in(rule)));
            if lacking.contains(&Extra::Comment) {
                rules.iter_mut().for_each(|rule| rule.comment = None);
            }
        }
        chains
    }

    fn input(&self, family: Family, id: i32) -> Vec<Rule> {
        let mut rules = vec![
            Rule::accept([Match::From("lo".to_owned())]).with_comment("loopback"),
            Rule::accept([Match::Established]).with_comment("answers"),
        ];
        if family == Family::V6 {
            let kinds = [
                NEIGHBOUR_SOLICITATION,
                NEIGHBOUR_ADVERTISEMENT,
                LISTENER_QUERY,
            ];
            rules.extend(kinds.map(neighbours));
        }
        let permitted = self.permissions.iter();
        let permitted = permitted.filter(|one| one.direction == Direction::Incoming);
        rules.extend(permitted.filter_map(|one| accept(one, family)));
        rules.push(log(format!("SC-{id} INCOMING: ")));
        rules
    }

    fn output(&self, family: Family) -> Vec<Rule> {
        let mut rules = vec![
            Rule::accept([Match::To("lo".to_owned())]).with_comment("loopback"),
            Rule::accept([Match::Established]).with_comment("answers"),
        ];
        let above = Match::ConnectionsAbove(self.limits.most);
        rules.push(Rule::new([Match::New, above], Verdict::Drop).with_comment("max-connections"));
        let begin = Rule::new([Match::First], Verdict::Jump(BEGIN.to_owned()));
        rules.push(begin.with_comment("connection-rate"));
        if family == Family::V6 {
            let kinds = [
                NEIGHBOUR_SOLICITATION,
                NEIGHBOUR_ADVERTISEMENT,
                LISTENER_REPORT,
            ];
            rules.extend(kinds.map(neighbours));
        }
        for (server, client) in DHCP_PORTS {
            if !self.names_port(client) {
                rules.push(refused([Match::UdpFrom(server)]).with_comment("DHCP server"));
            }
        }
        let named = self.outgoing().filter(|one| one.peer != Peer::Anybody);
        rules.extend(named.filter_map(|one| accept(one, family)));
        if self.outgoing().any(|one| one.peer == Peer::Anybody) {
            rules.extend(self.outside(family));
        }
        rules.push(refused([]).with_comment("not allowed"));
        rules
    }

    /// Sends what goes to the world outside, and the little of the host that is open to all, to
    /// the chain that knows what may be said there.
    fn outside(&self, family: Family) -> Vec<Rule> {
        let world = |matches: Vec<Match>| Rule::new(matches, Verdict::Jump(WORLD.to_owned()));
        let mut rules = Vec::new();
        for address in self.surroundings.bridge_addresses(family) {
            let host = Match::Destination(Subnet::host(address));
            rules.push(
                world(vec![host.clone(), Match::EchoRequest]).with_comment("ping of the host"),
            );
            for open in self.surroundings.open_ports() {
                rules.push(world(vec![host.clone(), open]).with_comment("host-ports"));
            }
        }
        for near in self.surroundings.near(family) {
            rules.push(refused([Match::Destination(near)]).with_comment("not the world outside"));
        }
        rules.push(world(Vec::new()).with_comment("the world outside"));
        rules
    }

    fn world(&self, family: Family) -> Vec<Rule> {
        let world = self.outgoing().filter(|one| one.peer == Peer::Anybody);
        world.filter_map(|one| accept(one, family)).collect()
    }

    fn begin(&self) -> Vec<Rule> {
        let ConnectionLimits { rate, burst, .. } = self.limits;
        vec![
            Rule::new([Match::Below { rate, burst }], Verdict::Return).with_comment("slow enough"),
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

fn refuse(id: i32) -> Vec<Rule> {
    let mut rules = vec![log(format!("SC-{id} OUTGOING: "))];
    rules.extend(Rule::refusals());
    // Where nothing can be refused.
    rules.push(Rule::new([], Verdict::Drop).with_comment("not allowed"));
    rules
}

fn refused(matches: impl IntoIterator<Item = Match>) -> Rule {
    Rule::new(matches, Verdict::Jump(REFUSE.to_owned()))
}

fn neighbours(kind: u8) -> Rule {
    Rule::accept([Match::IcmpType(kind)]).with_comment("neighbours")
}

/// The kernel tells of packets in its log: of few, so that no app fills it.
fn log(prefix: String) -> Rule {
    let (rate, burst) = LOGGED;
    Rule::new([Match::Below { rate, burst }], Verdict::Log(prefix)).with_comment("log")
}

fn accept(permission: &Permission, family: Family) -> Option<Rule> {
    let matches = permission.matches(family)?;
    Some(Rule::accept(matches).with_comment(permission.to_string()))
}

#[cfg(test)]
mod tests;
