//! The host's rules in nf_tables.
//!
//! They are in a table of ours with chains of its own at the kernel's hooks. Two things cannot be
//! done there: what the chain FORWARD of iptables(8) does not let pass, or its POSTROUTING leaves
//! as it is, is decided there. Where somebody uses these, our chain is a guest in their table,
//! with a jump to it at the end, and in a form that iptables can show.

use std::collections::BTreeMap;

use super::{
    batch::Batch,
    look::{Found, look},
    words::{Company, Hook},
};
use crate::{
    firewall::{
        Family, FirewallError,
        chain::Chain,
        generation,
        rule::{Rule, Verdict},
        store::Store,
    },
    nfnetlink::{Nfnetlink, NfnetlinkError},
};

/// Our table, and what is known of it.
#[derive(Debug)]
pub(in crate::firewall) struct Tables {
    name: String,
    device: String,
    /// Kept open: closing one after a change waits, see [`Nfnetlink::close_aside`].
    netfilter: Nfnetlink,
    known: BTreeMap<Family, Known>,
}

#[derive(Debug)]
enum Known {
    /// Not seen since it was loaded.
    Loaded,
    Seen(Found),
}

/// A kind of chain that may be a guest: the table, the system's chain and the beginning of ours.
const GUESTS: [(&str, &str, &str); 2] = [
    ("filter", "FORWARD", "SC-FWD-"),
    ("nat", "POSTROUTING", "SC-NAT-"),
];

impl Tables {
    /// For the bridge `device`, in the calling thread's network namespace.
    ///
    /// # Errors
    /// [`NfnetlinkError`].
    pub(in crate::firewall) fn new(device: &str) -> Result<Self, NfnetlinkError> {
        Ok(Self {
            name: format!("softwarecontainer-{device}"),
            device: device.to_owned(),
            netfilter: Nfnetlink::open()?,
            known: BTreeMap::new(),
        })
    }

    fn look(&self, family: Family) -> Result<Found, NfnetlinkError> {
        let names = GUESTS.map(|(_, _, begin)| format!("{begin}{}", self.device));
        let guests: Vec<_> = GUESTS
            .iter()
            .zip(&names)
            .map(|((table, hook, _), name)| (*table, *hook, name.as_str()))
            .collect();
        look(&self.netfilter, family, &self.name, &guests)
    }

    /// Makes what there is of ours consist of these chains.
    fn arrange(
        &mut self,
        family: Family,
        chains: &[Chain],
        found: &Found,
    ) -> Result<(), NfnetlinkError> {
        let mut batch = Batch::default();
        if found.has_table() {
            batch.remove_table(family, &self.name);
        }
        for (table, hook, begin) in GUESTS {
            let name = format!("{begin}{}", self.device);
            let wanted = chains.iter().any(|one| one.name == name);
            let keep = usize::from(wanted);
            for jump in found.jumps(&name).iter().skip(keep) {
                batch.remove_rule(family, table, hook, jump);
            }
            if !wanted && found.has_chain(table, &name) {
                batch.remove_chain(family, table, &name);
            }
        }
        for chain in chains {
            self.add(&mut batch, family, chain, found);
        }
        batch.commit_by(&self.netfilter)
    }

    fn add(&self, batch: &mut Batch, family: Family, chain: &Chain, found: &Found) {
        let jump = Rule::new(chain.only.clone(), Verdict::Jump(chain.name.clone()));
        match Home::of(chain, found) {
            Home::Own(hook) => {
                let base = base(chain);
                batch.table(family, &self.name);
                batch.base_chain(family, &self.name, &base, hook, &Verdict::Accept);
                batch.chain(family, &self.name, &chain.name);
                batch.rule(family, &self.name, &base, &jump);
                for rule in &chain.rules {
                    batch.rule(family, &self.name, &chain.name, rule);
                }
            }
            Home::Guest => {
                batch.chain(family, chain.table, &chain.name);
                let mut add = |of: &str, rule: &Rule| {
                    batch.rule_in(Company::Iptables, family, (chain.table, of), rule);
                };
                for rule in &chain.rules {
                    add(&chain.name, rule);
                }
                if found.jumps(&chain.name).is_empty() {
                    add(chain.hook, &jump);
                }
            }
            Home::Nowhere => {}
        }
    }

    /// Whether all rules are there, with one jump to each chain.
    fn is_whole(&self, chains: &[Chain], found: &Found) -> bool {
        chains.iter().all(|chain| match Home::of(chain, found) {
            Home::Own(_) => {
                found.length(&self.name, &chain.name) == chain.rules.len()
                    && found.length(&self.name, &base(chain)) == 1
            }
            Home::Guest => {
                found.length(chain.table, &chain.name) == chain.rules.len()
                    && found.jumps(&chain.name).len() == 1
            }
            Home::Nowhere => true,
        })
    }
}

impl Store for Tables {
    fn load_missing(&mut self, family: Family, chains: &[Chain]) -> Result<bool, FirewallError> {
        let found = self.look(family)?;
        match self.known.get(&family) {
            Some(Known::Seen(seen)) if *seen == found => return Ok(false),
            Some(Known::Loaded) if self.is_whole(chains, &found) => {
                self.known.insert(family, Known::Seen(found));
                return Ok(false);
            }
            _ => {}
        }
        // What an earlier agent has left goes, too.
        self.arrange(family, chains, &found)?;
        self.known.insert(family, Known::Loaded);
        Ok(!chains.is_empty())
    }

    fn refill(&mut self, chains: &[(Family, Chain)]) -> Result<u32, FirewallError> {
        let mut batch = Batch::default();
        for (family, chain) in chains {
            batch.chain(*family, &self.name, &chain.name);
            for rule in &chain.rules {
                batch.rule(*family, &self.name, &chain.name, rule);
            }
        }
        batch.commit_by(&self.netfilter)?;
        for (family, _) in chains {
            self.known.insert(*family, Known::Loaded);
        }
        Ok(1)
    }

    fn forget(&mut self, family: Family, _chain: &Chain) {
        self.known.remove(&family);
    }

    fn take_away(
        &mut self,
        family: Family,
        _gone: &[Chain],
        rest: &[Chain],
    ) -> Result<(), FirewallError> {
        let found = self.look(family)?;
        self.arrange(family, rest, &found)?;
        self.known.insert(family, Known::Loaded);
        Ok(())
    }

    fn has(&mut self, _family: Family, _chain: &Chain) -> Result<bool, FirewallError> {
        // What an earlier agent has left is replaced as a whole.
        Ok(false)
    }

    fn generation(&self) -> Option<u32> {
        generation::of(&self.netfilter)
    }
}

/// Where a chain is.
enum Home {
    /// In our table, at a hook.
    Own(Hook),
    /// In the table of iptables(8).
    Guest,
    /// Nobody uses the chain of iptables(8) that might not let something pass.
    Nowhere,
}

impl Home {
    fn of(chain: &Chain, found: &Found) -> Self {
        // Beside the system's chains: linux/netfilter_ipv4.h has their priorities.
        let beside = if chain.before_others { -1 } else { 1 };
        let is_there = found.has_chain(chain.table, chain.hook);
        let at = |kind, number, priority: i32| {
            Self::Own(Hook {
                kind,
                number,
                priority: priority + beside,
            })
        };
        match (chain.table, chain.hook) {
            ("filter" | "nat", "FORWARD" | "POSTROUTING") if is_there => Self::Guest,
            ("filter", "FORWARD") => Self::Nowhere,
            ("nat", _) => at("nat", Hook::POSTROUTING, 100),
            ("mangle", _) => at("filter", Hook::POSTROUTING, -150),
            _ => at("filter", Hook::INPUT.number, 0),
        }
    }
}

/// The name of the chain in our table that the kernel sends packets to.
fn base(chain: &Chain) -> String {
    format!("{}-{}", chain.table, chain.hook)
}
