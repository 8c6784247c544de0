//! Our rules on the host: masquerading, forwarding, what containers reach of the host itself, and
//! the classes of their packets.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

use softwarecontainer_capability::class_id::ClassId;

use super::{
    Family, FirewallError,
    chain::Chain,
    rule::{Match, Rule, Verdict},
    store::Store,
};
use crate::{
    permission::{Peer, Permission},
    settings::BridgeSettings,
    subnet::Subnet,
    surroundings::open_ports,
};

/// ICMPv6 without which no neighbour is found and no multicast joined.
const NEIGHBOUR_KINDS: [u8; 5] = [135, 136, 131, 132, 143];

/// A container whose packets are classified where they leave the host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Classified {
    /// Its IPv4 address.
    pub v4: Ipv4Addr,
    /// Its IPv6 address.
    pub v6: Option<Ipv6Addr>,
    /// The class.
    pub class: ClassId,
}

impl Classified {
    fn address(&self, family: Family) -> Option<IpAddr> {
        match family {
            Family::V4 => Some(self.v4.into()),
            Family::V6 => self.v6.map(IpAddr::V6),
        }
    }
}

/// A container that has a network, as the host's own services see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Visitor {
    /// All its addresses.
    pub(crate) addresses: Vec<IpAddr>,
    /// What it may call; of these, what is named counts here.
    pub(crate) permissions: Vec<Permission>,
}

/// What of ours is loaded on the host.
#[derive(Debug)]
pub struct HostFirewall {
    device: String,
    networks: BTreeMap<Family, Subnet>,
    host_ports: Vec<u16>,
    /// The bridge, with masquerading and forwarding, is ours to arrange.
    routing: bool,
    classes: BTreeMap<i32, Classified>,
    /// A class has been set at some time, so that our chain for them exists.
    classifying: bool,
    visitors: BTreeMap<i32, Visitor>,
    /// A container has had a network at some time, so that our chain for them exists.
    guarding: bool,
    /// The host's own addresses.
    local: BTreeSet<IpAddr>,
    /// Generation of the rules when all of ours were there; `None` when it cannot be known.
    generation: Option<u32>,
    store: Box<dyn Store>,
    /// It was looked for what an earlier agent has left.
    looked: bool,
}

/// How often rules are loaded that others take away at the same time.
const ROUNDS: usize = 3;

impl HostFirewall {
    /// Nothing is loaded yet, and masquerading and forwarding are not ours to arrange.
    ///
    /// # Errors
    /// [`FirewallError`].
    pub(crate) fn new(settings: &BridgeSettings) -> Result<Self, FirewallError> {
        let networks = settings
            .addresses()
            .into_iter()
            .map(|one| Subnet::new(one.address, one.prefix))
            .map(|network| (network.family(), network))
            .collect();
        Ok(Self {
            device: settings.device.clone(),
            networks,
            host_ports: settings.host_ports.clone(),
            routing: false,
            classes: BTreeMap::new(),
            classifying: false,
            visitors: BTreeMap::new(),
            guarding: false,
            local: BTreeSet::new(),
            generation: None,
            store: settings.firewall.store(&settings.device)?,
            looked: false,
        })
    }

    /// Loads everything of ours that is not there. Returns whether something was missing.
    ///
    /// # Errors
    /// [`FirewallError`].
    pub fn apply(&mut self) -> Result<bool, FirewallError> {
        // From before the look: what others change after it is still to be found.
        let mut generation = self.store.generation();
        let mut missing = self.load_missing()?;
        let was_missing = missing;
        for _ in 0..ROUNDS {
            if !missing {
                break;
            }
            generation = self.store.generation();
            missing = self.load_missing()?;
        }
        let told = self.store.generation().is_some();
        self.generation = generation.filter(|_| told && !missing);
        Ok(was_missing)
    }

    fn load_missing(&mut self) -> Result<bool, FirewallError> {
        let mut missing = false;
        for family in families() {
            // Left by an agent that ended without cleaning up: its classes must not outlive its
            // containers.
            if !self.looked {
                let chain = self.class_chain(family);
                self.classifying |= self.store.has(family, &chain)?;
            }
            let chains = self.chains(family);
            missing |= self.store.load_missing(family, &chains)?;
        }
        self.looked = true;
        Ok(missing)
    }

    /// Loads what is missing if somebody has changed the host's rules since our last change.
    /// Returns whether something was missing.
    ///
    /// # Errors
    /// [`FirewallError`].
    pub fn repair(&mut self) -> Result<bool, FirewallError> {
        if self.is_current() {
            return Ok(false);
        }
        self.apply()
    }

    /// Masquerading and forwarding are ours to arrange from now on.
    pub(crate) fn arrange_routing(&mut self) {
        if !self.routing {
            self.routing = true;
            self.guarding = true;
            self.generation = None;
        }
    }

    /// Whether nobody has changed the host's rules since all of ours were there.
    pub(crate) fn is_current(&self) -> bool {
        let nothing = !self.routing && !self.classifying && !self.guarding;
        nothing || (self.generation.is_some() && self.generation == self.store.generation())
    }

    /// Sets or ends the classification of a container's packets.
    ///
    /// # Errors
    /// [`FirewallError`]; the class is then what it was.
    pub fn set_class(
        &mut self,
        id: i32,
        classified: Option<Classified>,
    ) -> Result<(), FirewallError> {
        let before = exchange(&mut self.classes, id, classified);
        if before == classified {
            return Ok(());
        }
        let exists = std::mem::replace(&mut self.classifying, true);
        let result = self.update(exists, Self::class_chain);
        if result.is_err() {
            self.classifying = exists;
            exchange(&mut self.classes, id, before);
        }
        result
    }

    /// The class of a container's packets.
    #[must_use]
    pub fn class(&self, id: i32) -> Option<Classified> {
        self.classes.get(&id).copied()
    }

    /// Says which addresses the host itself has; those that containers may reach by name.
    ///
    /// # Errors
    /// [`FirewallError`].
    pub(crate) fn set_local(&mut self, local: BTreeSet<IpAddr>) -> Result<(), FirewallError> {
        let rules = self.guard_rules();
        self.local = local;
        if self.guard_rules() == rules || !self.guarding {
            return Ok(());
        }
        self.update(true, Self::guard_chain)
    }

    /// Whether a container has a network.
    pub(crate) fn has_visitor(&self, id: i32) -> bool {
        self.visitors.contains_key(&id)
    }

    /// Lets a container reach of the host what it may, or forgets it.
    ///
    /// # Errors
    /// [`FirewallError`]; what it reaches is then what it was.
    pub(crate) fn set_visitor(
        &mut self,
        id: i32,
        visitor: Option<Visitor>,
    ) -> Result<(), FirewallError> {
        let rules = self.guard_rules();
        let before = exchange(&mut self.visitors, id, visitor);
        if self.guard_rules() == rules {
            return Ok(());
        }
        let exists = std::mem::replace(&mut self.guarding, true);
        let result = if self.visitors.is_empty() && !self.routing {
            self.drop_guard()
        } else {
            self.update(exists, Self::guard_chain)
        };
        if result.is_err() {
            self.guarding = exists;
            exchange(&mut self.visitors, id, before);
        }
        result
    }

    /// Fills one chain anew, or everything if it is not there or others have been at work.
    fn update(
        &mut self,
        exists: bool,
        chain: fn(&Self, Family) -> Chain,
    ) -> Result<(), FirewallError> {
        if !exists || !self.is_current() {
            for family in families() {
                let chain = chain(self, family);
                self.store.forget(family, &chain);
            }
            return self.apply().map(drop);
        }
        let chains: Vec<_> = families()
            .map(|family| (family, chain(self, family)))
            .collect();
        let own = self.store.refill(&chains)?;
        // If there were more changes, those of others are still to be found.
        let expected = self.generation.map(|before| before.wrapping_add(own));
        self.generation = expected.filter(|_| self.store.generation() == expected);
        Ok(())
    }

    /// A bridge that is not ours has a chain on it only as long as it has containers of ours.
    fn drop_guard(&mut self) -> Result<(), FirewallError> {
        let current = self.is_current();
        self.guarding = false;
        for family in families() {
            let (gone, rest) = ([self.guard_chain(family)], self.chains(family));
            if let Err(error) = self.store.take_away(family, &gone, &rest) {
                self.guarding = true;
                return Err(error);
            }
        }
        // What others have changed meanwhile is still to be found.
        self.generation = self.store.generation().filter(|_| current);
        Ok(())
    }

    /// Takes everything of ours away.
    ///
    /// # Errors
    /// [`FirewallError`].
    pub(crate) fn remove(&mut self) -> Result<(), FirewallError> {
        if !self.routing && !self.classifying && !self.guarding {
            return Ok(());
        }
        // The chains of an earlier agent too, which may have classified.
        self.classifying = true;
        self.guarding = true;
        self.classes.clear();
        self.visitors.clear();
        for family in families() {
            let gone = self.chains(family);
            self.store.take_away(family, &gone, &[])?;
        }
        Ok(())
    }

    fn chains(&self, family: Family) -> Vec<Chain> {
        let device = &self.device;
        let mut chains = Vec::new();
        if let Some(network) = self.networks.get(&family).filter(|_| self.routing) {
            chains.push(Chain {
                table: "nat",
                hook: "POSTROUTING",
                only: None,
                before_others: false,
                name: format!("SC-NAT-{device}"),
                rules: vec![
                    Rule::new(
                        [Match::Source(*network), Match::NotDestination(*network)],
                        Verdict::Masquerade,
                    )
                    .with_comment("to the outside"),
                ],
            });
            // The containers' own firewalls decide; this only keeps a policy of DROP from stopping
            // what they allow. It comes last, so that the integrator's own rules count.
            chains.push(Chain {
                table: "filter",
                hook: "FORWARD",
                only: None,
                before_others: false,
                name: format!("SC-FWD-{device}"),
                rules: vec![
                    Rule::accept([Match::From(device.clone())]).with_comment("from containers"),
                    Rule::accept([Match::To(device.clone())]).with_comment("to containers"),
                ],
            });
        }
        if self.guarding {
            chains.push(self.guard_chain(family));
        }
        if self.classifying {
            chains.push(self.class_chain(family));
        }
        chains
    }

    /// What containers reach of the host itself. It comes before the integrator's own rules, which
    /// decide about what it lets pass: they open ports for others, not for apps.
    fn guard_chain(&self, family: Family) -> Chain {
        let returns = |matches: Vec<Match>| Rule::new(matches, Verdict::Return);
        let mut rules = vec![returns(vec![Match::Established]).with_comment("answers")];
        if family == Family::V6 {
            rules.extend(
                NEIGHBOUR_KINDS
                    .map(|kind| returns(vec![Match::IcmpType(kind)]).with_comment("neighbours")),
            );
        }
        rules.push(returns(vec![Match::EchoRequest]).with_comment("ping"));
        rules.extend(
            open_ports(&self.host_ports).map(|port| returns(vec![port]).with_comment("host-ports")),
        );
        rules.extend(self.guard_rules().remove(&family).unwrap_or_default());
        if self.routing {
            // Nobody else is on a bridge of ours.
            rules.extend(Rule::refusals());
        }
        Chain {
            table: "filter",
            hook: "INPUT",
            only: Some(Match::From(self.device.clone())),
            before_others: true,
            name: format!("SC-IN-{}", self.device),
            rules,
        }
    }

    /// What belongs to single containers: which addresses of the host they have by name. On a
    /// bridge that others use, too, the refusal of everything else is among it.
    fn guard_rules(&self) -> BTreeMap<Family, Vec<Rule>> {
        let mut rules = BTreeMap::<Family, Vec<Rule>>::new();
        for visitor in self.visitors.values() {
            for address in &visitor.addresses {
                let source = Subnet::host(*address);
                let family = source.family();
                let rules = rules.entry(family).or_default();
                let named = visitor.permissions.iter().filter(|one| self.is_local(one));
                rules.extend(named.filter_map(|one| {
                    let mut matches = one.matches(family)?;
                    matches.insert(0, Match::Source(source));
                    Some(Rule::new(matches, Verdict::Return).with_comment(one.to_string()))
                }));
                if !self.routing {
                    rules.extend(Rule::refusals().map(|mut rule| {
                        rule.matches.insert(0, Match::Source(source));
                        rule
                    }));
                }
            }
        }
        rules.retain(|_, rules| !rules.is_empty());
        rules
    }

    /// Whether a permission names an address that the host has.
    fn is_local(&self, permission: &Permission) -> bool {
        match permission.peer {
            Peer::Anybody => false,
            Peer::Subnet(subnet) => self.has_address_in(&subnet),
        }
    }

    /// Whether an address of the host itself is in there.
    pub(crate) fn has_address_in(&self, subnet: &Subnet) -> bool {
        self.local.iter().any(|one| subnet.contains(*one))
    }

    fn class_chain(&self, family: Family) -> Chain {
        let rules = self.classes.values().filter_map(|one| {
            let address = one.address(family)?;
            let from = Match::Source(Subnet::host(address));
            let elsewhere = Match::NotTo(self.device.clone());
            Some(Rule::new([from, elsewhere], Verdict::Classify(one.class)))
        });
        Chain {
            table: "mangle",
            hook: "POSTROUTING",
            only: None,
            before_others: false,
            name: format!("SC-CLS-{}", self.device),
            rules: rules.collect(),
        }
    }
}

/// The families that this kernel has.
fn families() -> impl Iterator<Item = Family> {
    [Family::V4, Family::V6]
        .into_iter()
        .filter(|family| family.is_there())
}

fn exchange<T>(map: &mut BTreeMap<i32, T>, id: i32, new: Option<T>) -> Option<T> {
    match new {
        Some(new) => map.insert(id, new),
        None => map.remove(&id),
    }
}

#[cfg(test)]
mod tests;
