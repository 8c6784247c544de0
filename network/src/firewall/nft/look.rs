//! What of ours is in nf_tables.

use std::collections::BTreeMap;

use super::{
    expression::{NFTA_DATA_VERDICT, NFTA_IMMEDIATE_DATA, NFTA_VERDICT_CHAIN},
    words::{
        COMMENT, NFTA_CHAIN_HOOK, NFTA_CHAIN_NAME, NFTA_CHAIN_POLICY, NFTA_CHAIN_TABLE,
        NFTA_EXPR_DATA, NFTA_EXPR_NAME, NFTA_RULE_CHAIN, NFTA_RULE_EXPRESSIONS, NFTA_RULE_HANDLE,
        NFTA_RULE_TABLE, NFTA_RULE_USERDATA, NFTA_TABLE_NAME, message, of_chain,
    },
};
use crate::{
    firewall::{Family, rule_count::RuleCount},
    nfnetlink::{
        Nfnetlink, NfnetlinkError,
        message::{Attributes, DUMP, attribute, attributes, long, text},
    },
};

const NFT_MSG_GETTABLE: u8 = 1;
const NFT_MSG_GETCHAIN: u8 = 4;
const NFT_MSG_GETRULE: u8 = 7;
const NFTA_TABLE_FLAGS: u16 = 2;
const NFTA_COUNTER_BYTES: u16 = 1;
const NFTA_COUNTER_PACKETS: u16 = 2;

/// A table and a chain in it.
pub(super) type Place = (String, String);

/// What is there of the chains that somebody looks for. The kernel gives each rule a number (its
/// handle) that no other ever has, so that two looks that find the same found the same rules.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Found {
    /// Of a table of ours: whether it is asleep.
    flags: Option<Vec<u8>>,
    /// Chains with their hooks and policies.
    chains: BTreeMap<Place, (Vec<u8>, Vec<u8>)>,
    /// The handles of their rules, in order.
    rules: BTreeMap<Place, Vec<Vec<u8>>>,
    /// Rules in chains of the system that jump to a chain of ours, by that.
    jumps: BTreeMap<String, Vec<Vec<u8>>>,
}

impl Found {
    pub(super) fn has_table(&self) -> bool {
        self.flags.is_some()
    }

    pub(super) fn has_chain(&self, table: &str, chain: &str) -> bool {
        self.chains
            .contains_key(&(table.to_owned(), chain.to_owned()))
    }

    /// How many rules a chain has.
    pub(super) fn length(&self, table: &str, chain: &str) -> usize {
        let rules = self.rules.get(&(table.to_owned(), chain.to_owned()));
        rules.map_or(0, Vec::len)
    }

    pub(super) fn jumps(&self, chain: &str) -> &[Vec<u8>] {
        self.jumps.get(chain).map_or(&[], Vec::as_slice)
    }
}

/// Looks at the table `own`, and at `guests`: chains of ours in tables of the system, each with the
/// table, the system's chain that is to jump to it, and its name.
pub(super) fn look(
    netfilter: &Nfnetlink,
    family: Family,
    own: &str,
    guests: &[(&str, &str, &str)],
) -> Result<Found, NfnetlinkError> {
    let mut found = Found::default();
    let tables = message(family, NFT_MSG_GETTABLE, DUMP, Attributes::default());
    netfilter.ask("list the tables", &tables, |one| {
        if text(one, NFTA_TABLE_NAME).as_deref() == Some(own) {
            found.flags = Some(owned(one, NFTA_TABLE_FLAGS));
        }
    })?;
    let chains = message(family, NFT_MSG_GETCHAIN, DUMP, Attributes::default());
    netfilter.ask("list the chains", &chains, |one| {
        let place = text(one, NFTA_CHAIN_TABLE).zip(text(one, NFTA_CHAIN_NAME));
        let Some((table, chain)) = place else {
            return;
        };
        let guest = guests
            .iter()
            .any(|(of, hook, name)| *of == table && (*name == chain || *hook == chain));
        if table == own {
            let state = (owned(one, NFTA_CHAIN_HOOK), owned(one, NFTA_CHAIN_POLICY));
            found.chains.insert((table, chain), state);
        } else if guest {
            // Its policy is others' affair.
            let state = (owned(one, NFTA_CHAIN_HOOK), Vec::new());
            found.chains.insert((table, chain), state);
        }
    })?;
    if found.has_table() {
        let of_table = Attributes::default().text(NFTA_RULE_TABLE, own);
        found.read_rules(netfilter, family, of_table)?;
    }
    for (table, hook, name) in guests {
        if found.has_chain(table, name) {
            found.read_rules(netfilter, family, of_chain(table, name))?;
        }
        if found.has_chain(table, hook) {
            let rules = message(family, NFT_MSG_GETRULE, DUMP, of_chain(table, hook));
            netfilter.ask("list the rules", &rules, |rule| {
                if let Some(handle) = jump_to(rule, name) {
                    let jumps = found.jumps.entry((*name).to_owned()).or_default();
                    jumps.push(handle.to_vec());
                }
            })?;
        }
    }
    Ok(found)
}

impl Found {
    fn read_rules(
        &mut self,
        netfilter: &Nfnetlink,
        family: Family,
        of: Attributes,
    ) -> Result<(), NfnetlinkError> {
        let rules = message(family, NFT_MSG_GETRULE, DUMP, of);
        netfilter.ask("list the rules", &rules, |rule| {
            let place = text(rule, NFTA_RULE_TABLE).zip(text(rule, NFTA_RULE_CHAIN));
            if let Some(place) = place {
                let handle = owned(rule, NFTA_RULE_HANDLE);
                self.rules.entry(place).or_default().push(handle);
            }
        })
    }
}

/// What the rules of a table in the calling thread's network namespace have counted.
///
/// # Errors
/// [`NfnetlinkError`].
pub(in crate::firewall) fn counts(
    family: Family,
    table: &str,
) -> Result<Vec<RuleCount>, NfnetlinkError> {
    let mut counts = Vec::new();
    let of_table = Attributes::default().text(NFTA_RULE_TABLE, table);
    let rules = message(family, NFT_MSG_GETRULE, DUMP, of_table);
    Nfnetlink::open()?.ask("list the rules", &rules, |rule| {
        // The kernels before 4.13 list those of all tables.
        if text(rule, NFTA_RULE_TABLE).as_deref() == Some(table) {
            counts.extend(count(family, rule));
        }
    })?;
    Ok(counts)
}

fn count(family: Family, rule: &[u8]) -> Option<RuleCount> {
    let counter = expressions(rule, "counter").next()?;
    Some(RuleCount {
        family,
        chain: text(rule, NFTA_RULE_CHAIN)?,
        rule: comment(rule).unwrap_or_default(),
        packets: long(counter, NFTA_COUNTER_PACKETS)?,
        bytes: long(counter, NFTA_COUNTER_BYTES)?,
    })
}

fn comment(rule: &[u8]) -> Option<String> {
    let userdata = attribute(rule, NFTA_RULE_USERDATA)?;
    let [kind, length, rest @ ..] = userdata else {
        return None;
    };
    let text = rest
        .get(..usize::from(*length))
        .filter(|_| *kind == COMMENT)?;
    let text = text.split(|byte| *byte == 0).next()?;
    Some(String::from_utf8_lossy(text).into_owned())
}

/// The data of all expressions of one name in a rule.
fn expressions<'a>(rule: &'a [u8], name: &str) -> impl Iterator<Item = &'a [u8]> {
    let list = attribute(rule, NFTA_RULE_EXPRESSIONS).unwrap_or_default();
    attributes(list).filter_map(move |(_, one)| {
        let wanted = text(one, NFTA_EXPR_NAME).as_deref() == Some(name);
        attribute(one, NFTA_EXPR_DATA).filter(|_| wanted)
    })
}

/// The handle of a rule that jumps to the chain `name`.
fn jump_to<'a>(rule: &'a [u8], name: &str) -> Option<&'a [u8]> {
    let mut verdicts = expressions(rule, "immediate").filter_map(|data| {
        let verdict = attribute(attribute(data, NFTA_IMMEDIATE_DATA)?, NFTA_DATA_VERDICT)?;
        text(verdict, NFTA_VERDICT_CHAIN)
    });
    verdicts
        .any(|to| to == name)
        .then(|| attribute(rule, NFTA_RULE_HANDLE))?
}

fn owned(bytes: &[u8], kind: u16) -> Vec<u8> {
    attribute(bytes, kind).unwrap_or_default().to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::firewall::{
        nft::{batch::Batch, words::Company},
        rule::{Match, Rule, Verdict},
    };

    /// A rule as the kernel tells of it.
    fn rule(handle: u64, comment: &str, to: &str) -> Vec<u8> {
        let mut batch = Batch::default();
        let rule = Rule::new([Match::AnyTcp], Verdict::Jump(to.to_owned())).with_comment(comment);
        batch.rule_in(Company::Iptables, Family::V4, ("filter", "FORWARD"), &rule);
        let mut message = batch.0.remove(0);
        message.attributes = message
            .attributes
            .bytes(NFTA_RULE_HANDLE, &handle.to_be_bytes());
        let mut bytes = Vec::new();
        message.append(1, &mut bytes);
        bytes.split_off(20)
    }

    #[test]
    fn only_a_jump_to_the_chain_is_found() {
        let rule = rule(7, "", "SC-IN-lxcbr0");
        let handle = 7u64.to_be_bytes().to_vec();
        assert_eq!(jump_to(&rule, "SC-IN-lxcbr0"), Some(handle.as_slice()));
        assert_eq!(jump_to(&rule, "SC-IN-lxcbr01"), None);
        assert_eq!(jump_to(&rule, "SC-IN"), None);
        assert_eq!(jump_to(&[], "SC-IN-lxcbr0"), None);
    }

    #[test]
    fn a_comment_is_found_again_as_far_as_it_fits() {
        let long = "ä".repeat(100);
        for text in ["a", "OUTGOING 192.0.2.0/24 tcp 80-90", &long] {
            let found = comment(&rule(7, text, "X")).unwrap();
            assert!(
                text.starts_with(&found) && (found == text || found.len() == 126),
                "{found}"
            );
        }
        assert_eq!(comment(&[]), None);
    }
}
