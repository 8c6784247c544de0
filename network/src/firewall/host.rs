//! Our rules on the host: masquerading, forwarding, and the classes of containers' packets.
//!
//! They are in chains of our own, named after the bridge; a chain of the system only holds the jump
//! to ours, at its end, so that the integrator's own rules come first. Nothing of others is ever
//! changed.

use std::{
    collections::BTreeMap,
    fmt::Write,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

use softwarecontainer_capability::class_id::ClassId;

use super::{
    Family, FirewallError, generation, iptables,
    rule::{Match, Rule, Verdict},
};
use crate::{settings::BridgeSettings, subnet::Subnet};

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

/// What of ours is loaded on the host.
#[derive(Debug)]
pub struct HostFirewall {
    device: String,
    networks: BTreeMap<Family, Subnet>,
    /// Masquerading and forwarding are ours to arrange.
    routing: bool,
    classes: BTreeMap<i32, Classified>,
    /// A class has been set at some time, so that our chain for them exists.
    classifying: bool,
    /// Generation of the rules after our last change; `None` when it cannot be known.
    generation: Option<u32>,
}

/// One chain of ours.
struct Chain {
    table: &'static str,
    /// The system's chain that jumps to ours.
    hook: &'static str,
    name: String,
    rules: Vec<Rule>,
}

impl Chain {
    fn jump(&self) -> String {
        format!("{} -j {}", self.hook, self.name)
    }
}

impl HostFirewall {
    /// Nothing is loaded yet; `routing` says whether masquerading and forwarding are ours to
    /// arrange.
    pub(crate) fn new(config: &BridgeSettings, routing: bool) -> Self {
        let networks = config
            .addresses()
            .into_iter()
            .map(|one| Subnet::new(one.address, one.prefix))
            .map(|network| (network.family(), network))
            .collect();
        Self {
            device: config.device.clone(),
            networks,
            routing,
            classes: BTreeMap::new(),
            classifying: false,
            generation: None,
        }
    }

    /// Loads everything of ours, whatever is there now.
    ///
    /// # Errors
    /// [`FirewallError`].
    pub fn apply(&mut self) -> Result<(), FirewallError> {
        let mut legacy = false;
        let class_chain = format!(":SC-CLS-{} ", self.device);
        for family in self.families() {
            let saved = iptables::save(family)?;
            // Left by an agent that ended without cleaning up: its classes must not outlive its
            // containers.
            self.classifying |= table("mangle", &saved).any(|line| line.starts_with(&class_chain));
            let chains = self.chains(family);
            if chains.is_empty() {
                continue;
            }
            legacy |= !saved.contains("(nf_tables)") && !saved.is_empty();
            iptables::restore(&[(family, &load(family, &chains, &saved))])?;
        }
        self.generation = if legacy { None } else { generation::current() };
        Ok(())
    }

    /// Loads everything again if somebody has changed the host's rules since our last change.
    ///
    /// # Errors
    /// [`FirewallError`].
    pub fn repair(&mut self) -> Result<(), FirewallError> {
        if self.is_current() {
            return Ok(());
        }
        log::info!(
            "the host's firewall was changed by others: loading our rules for {} again",
            self.device
        );
        self.apply()
    }

    fn is_current(&self) -> bool {
        let nothing = !self.routing && !self.classifying;
        nothing || (self.generation.is_some() && self.generation == generation::current())
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
        let hooked = self.classifying && self.is_current();
        let before = match classified {
            Some(new) => self.classes.insert(id, new),
            None => self.classes.remove(&id),
        };
        if before == classified {
            return Ok(());
        }
        let classifying = self.classifying;
        self.classifying = true;
        let result = if hooked {
            self.reload_classes()
        } else {
            self.apply()
        };
        if result.is_err() {
            self.classifying = classifying;
            match before {
                Some(old) => self.classes.insert(id, old),
                None => self.classes.remove(&id),
            };
        }
        result
    }

    /// The class of a container's packets.
    #[must_use]
    pub fn class(&self, id: i32) -> Option<Classified> {
        self.classes.get(&id).copied()
    }

    fn reload_classes(&mut self) -> Result<(), FirewallError> {
        let texts: Vec<_> = self
            .families()
            .into_iter()
            .map(|family| {
                let mut text = String::new();
                declare(&mut text, family, &self.class_chain(family));
                text.push_str("COMMIT\n");
                (family, text)
            })
            .collect();
        let rules: Vec<_> = texts
            .iter()
            .map(|(family, text)| (*family, text.as_str()))
            .collect();
        iptables::restore(&rules)?;
        self.generation = self.generation.and_then(|_| generation::current());
        Ok(())
    }

    /// Takes everything of ours away.
    ///
    /// # Errors
    /// [`FirewallError`].
    pub(crate) fn remove(&mut self) -> Result<(), FirewallError> {
        if !self.routing && !self.classifying {
            return Ok(());
        }
        // The chains of an earlier agent too, which may have classified.
        self.classifying = true;
        self.classes.clear();
        for family in self.families() {
            let saved = iptables::save(family)?;
            let text = unload(&self.chains(family), &saved);
            if !text.is_empty() {
                iptables::restore(&[(family, &text)])?;
            }
        }
        Ok(())
    }

    fn families(&self) -> Vec<Family> {
        self.networks.keys().copied().collect()
    }

    fn chains(&self, family: Family) -> Vec<Chain> {
        let Some(network) = self.networks.get(&family) else {
            return Vec::new();
        };
        let device = &self.device;
        let mut chains = Vec::new();
        if self.routing {
            chains.push(Chain {
                table: "nat",
                hook: "POSTROUTING",
                name: format!("SC-NAT-{device}"),
                rules: vec![Rule::new(
                    [Match::Source(*network), Match::NotDestination(*network)],
                    Verdict::Masquerade,
                )],
            });
            // The containers' own firewalls decide; this only keeps a policy of DROP from stopping
            // what they allow.
            chains.push(Chain {
                table: "filter",
                hook: "FORWARD",
                name: format!("SC-FWD-{device}"),
                rules: vec![
                    Rule::accept([Match::From(device.clone())]),
                    Rule::accept([Match::To(device.clone())]),
                ],
            });
        }
        if self.classifying {
            chains.push(self.class_chain(family));
        }
        chains
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
            name: format!("SC-CLS-{}", self.device),
            rules: rules.collect(),
        }
    }
}

/// Declares a chain, which empties it if it exists, and fills it.
fn declare(text: &mut String, family: Family, chain: &Chain) {
    let _ = writeln!(text, "*{}", chain.table);
    let _ = writeln!(text, ":{} - [0:0]", chain.name);
    for rule in &chain.rules {
        let _ = writeln!(text, "-A {} {}", chain.name, rule.iptables(family));
    }
}

/// Input for iptables-restore that makes `chains` as they should be, each with exactly one jump to
/// it.
fn load(family: Family, chains: &[Chain], saved: &str) -> String {
    let mut text = String::new();
    for chain in chains {
        declare(&mut text, family, chain);
        match jumps(chain, saved) {
            0 => {
                let _ = writeln!(text, "-A {}", chain.jump());
            }
            several => {
                for _ in 1..several {
                    let _ = writeln!(text, "-D {}", chain.jump());
                }
            }
        }
        let _ = writeln!(text, "COMMIT");
    }
    text
}

/// Input for iptables-restore that removes those of `chains` that exist.
fn unload(chains: &[Chain], saved: &str) -> String {
    let mut text = String::new();
    for chain in chains {
        let declared = format!(":{} ", chain.name);
        if !table(chain.table, saved).any(|line| line.starts_with(&declared)) {
            continue;
        }
        let _ = writeln!(text, "*{}", chain.table);
        for _ in 0..jumps(chain, saved) {
            let _ = writeln!(text, "-D {}", chain.jump());
        }
        let _ = writeln!(text, "-F {0}\n-X {0}\nCOMMIT", chain.name);
    }
    text
}

fn jumps(chain: &Chain, saved: &str) -> usize {
    let jump = format!("-A {}", chain.jump());
    table(chain.table, saved)
        .filter(|line| *line == jump)
        .count()
}

/// The lines of one table in the output of iptables-save.
fn table<'a>(name: &'a str, saved: &'a str) -> impl Iterator<Item = &'a str> {
    saved
        .lines()
        .skip_while(move |line| line.strip_prefix('*') != Some(name))
        .skip(1)
        .take_while(|line| *line != "COMMIT")
        .map(str::trim_end)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn firewall() -> HostFirewall {
        let config = BridgeSettings {
            create: true,
            ..BridgeSettings::default()
        };
        HostFirewall::new(&config, true)
    }

    const FRESH: &str = "*nat\n:SC-NAT-lxcbr0 - [0:0]\n\
        -A SC-NAT-lxcbr0 -s 10.0.3.0/24 ! -d 10.0.3.0/24 -j MASQUERADE\n\
        -A POSTROUTING -j SC-NAT-lxcbr0\nCOMMIT\n\
        *filter\n:SC-FWD-lxcbr0 - [0:0]\n-A SC-FWD-lxcbr0 -i lxcbr0 -j ACCEPT\n-A SC-FWD-lxcbr0 -o lxcbr0 -j ACCEPT\n\
        -A FORWARD -j SC-FWD-lxcbr0\nCOMMIT\n";

    #[test]
    fn an_empty_host_gets_chains_and_jumps() {
        assert_eq!(load(Family::V4, &firewall().chains(Family::V4), ""), FRESH);
    }

    #[test]
    fn a_jump_that_is_there_is_not_doubled_and_a_double_one_goes() {
        let once = "*nat\n-A POSTROUTING -j SC-NAT-lxcbr0\nCOMMIT\n*filter\n-A FORWARD -j SC-FWD-lxcbr0\nCOMMIT\n";
        let text = load(Family::V4, &firewall().chains(Family::V4), once);
        assert!(
            !text.contains("-A POSTROUTING -j") && !text.contains("-A FORWARD -j"),
            "{text}"
        );
        let twice = once.replace(
            "-A FORWARD -j SC-FWD-lxcbr0\n",
            "-A FORWARD -j SC-FWD-lxcbr0\n-A FORWARD -j SC-FWD-lxcbr0\n",
        );
        let text = load(Family::V4, &firewall().chains(Family::V4), &twice);
        assert_eq!(
            text.matches("-D FORWARD -j SC-FWD-lxcbr0").count(),
            1,
            "{text}"
        );
    }

    #[test]
    fn a_jump_in_another_table_does_not_count() {
        let elsewhere = "*mangle\n-A POSTROUTING -j SC-NAT-lxcbr0\nCOMMIT\n";
        assert_eq!(
            load(Family::V4, &firewall().chains(Family::V4), elsewhere),
            FRESH
        );
    }

    #[test]
    fn only_what_exists_is_removed() {
        let saved = "*nat\n:POSTROUTING ACCEPT [0:0]\n:SC-NAT-lxcbr0 - [0:0]\n-A POSTROUTING -j SC-NAT-lxcbr0\nCOMMIT\n";
        assert_eq!(
            unload(&firewall().chains(Family::V4), saved),
            "*nat\n-D POSTROUTING -j SC-NAT-lxcbr0\n-F SC-NAT-lxcbr0\n-X SC-NAT-lxcbr0\nCOMMIT\n"
        );
        assert_eq!(unload(&firewall().chains(Family::V4), ""), "");
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
}
