//! Takes chains of ours away through nf_tables itself, without a program.
//!
//! The nft variant of iptables(8) keeps its chains and rules in nf_tables under the same names; a
//! jump is a rule that ends in an immediate verdict.
//!
//! Source: linux/netfilter/nf_tables.h.

use super::{Family, chain::Chain};
use crate::nfnetlink::{
    Nfnetlink, NfnetlinkError,
    message::{Attributes, DUMP, Message, attribute, attributes},
};

const NFNL_SUBSYS_NFTABLES: u8 = 10;
const NFT_MSG_GETCHAIN: u8 = 4;
const NFT_MSG_DELCHAIN: u8 = 5;
const NFT_MSG_GETRULE: u8 = 7;
const NFT_MSG_DELRULE: u8 = 8;
const NFTA_CHAIN_TABLE: u16 = 1;
const NFTA_CHAIN_NAME: u16 = 3;
const NFTA_RULE_TABLE: u16 = 1;
const NFTA_RULE_CHAIN: u16 = 2;
const NFTA_RULE_HANDLE: u16 = 3;
const NFTA_RULE_EXPRESSIONS: u16 = 4;
const NFTA_LIST_ELEM: u16 = 1;
const NFTA_EXPR_NAME: u16 = 1;
const NFTA_EXPR_DATA: u16 = 2;
const NFTA_IMMEDIATE_DATA: u16 = 2;
const NFTA_DATA_VERDICT: u16 = 2;
const NFTA_VERDICT_CHAIN: u16 = 2;

/// Removes those of `chains` that exist, with all jumps to them, in one step. Returns whether there
/// were any.
pub(super) fn remove(family: Family, chains: &[Chain]) -> Result<bool, NfnetlinkError> {
    let netfilter = Nfnetlink::open()?;
    let mut there = Vec::new();
    let all = message(family, NFT_MSG_GETCHAIN, DUMP, Attributes::default());
    netfilter.ask("list the chains", &all, |chain| {
        there.extend(
            attribute(chain, NFTA_CHAIN_TABLE)
                .zip(attribute(chain, NFTA_CHAIN_NAME))
                .map(|(table, name)| (table.to_vec(), name.to_vec())),
        );
    })?;
    let is_there = |table: &str, name: &str| {
        let wanted = (c_string(table), c_string(name));
        there.contains(&wanted)
    };
    let mut changes = Vec::new();
    for chain in chains.iter().filter(|one| is_there(one.table, &one.name)) {
        if is_there(chain.table, chain.hook) {
            let rules = of_chain(chain.table, chain.hook);
            let rules = message(family, NFT_MSG_GETRULE, DUMP, rules);
            netfilter.ask("list the rules", &rules, |rule| {
                if let Some(handle) = jump_to(rule, &chain.name) {
                    let rule = of_chain(chain.table, chain.hook).bytes(NFTA_RULE_HANDLE, handle);
                    changes.push(message(family, NFT_MSG_DELRULE, 0, rule));
                }
            })?;
        }
        let rules = of_chain(chain.table, &chain.name);
        changes.push(message(family, NFT_MSG_DELRULE, 0, rules));
        let gone = Attributes::default()
            .bytes(NFTA_CHAIN_TABLE, &c_string(chain.table))
            .bytes(NFTA_CHAIN_NAME, &c_string(&chain.name));
        changes.push(message(family, NFT_MSG_DELCHAIN, 0, gone));
    }
    netfilter.at_once("remove chains", NFNL_SUBSYS_NFTABLES, &changes)?;
    Ok(!changes.is_empty())
}

fn message(family: Family, kind: u8, flags: u16, attributes: Attributes) -> Message {
    Message {
        kind: (NFNL_SUBSYS_NFTABLES, kind),
        flags,
        // NFPROTO_IPV4 and NFPROTO_IPV6.
        family: match family {
            Family::V4 => 2,
            Family::V6 => 10,
        },
        resource: 0,
        attributes,
    }
}

fn of_chain(table: &str, chain: &str) -> Attributes {
    Attributes::default()
        .bytes(NFTA_RULE_TABLE, &c_string(table))
        .bytes(NFTA_RULE_CHAIN, &c_string(chain))
}

/// The handle of a rule that jumps to the chain `name`.
fn jump_to<'a>(rule: &'a [u8], name: &str) -> Option<&'a [u8]> {
    let expressions = attributes(attribute(rule, NFTA_RULE_EXPRESSIONS)?);
    let mut verdicts = expressions.filter_map(|(kind, expression)| {
        let is_immediate = attribute(expression, NFTA_EXPR_NAME)? == b"immediate\0";
        let data = attribute(expression, NFTA_EXPR_DATA)
            .filter(|_| kind == NFTA_LIST_ELEM && is_immediate)?;
        let verdict = attribute(attribute(data, NFTA_IMMEDIATE_DATA)?, NFTA_DATA_VERDICT)?;
        attribute(verdict, NFTA_VERDICT_CHAIN)
    });
    let name = c_string(name);
    verdicts
        .any(|to| to == name)
        .then(|| attribute(rule, NFTA_RULE_HANDLE))?
}

/// With the NUL that the kernel puts behind names.
fn c_string(text: &str) -> Vec<u8> {
    [text.as_bytes(), b"\0"].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(handle: u64, expression: &str, to: &str) -> Vec<u8> {
        let verdict = Attributes::default().bytes(NFTA_VERDICT_CHAIN, &c_string(to));
        let data = Attributes::default().nested(NFTA_DATA_VERDICT, &verdict);
        let data = Attributes::default().nested(NFTA_IMMEDIATE_DATA, &data);
        let jump = Attributes::default()
            .bytes(NFTA_EXPR_NAME, &c_string(expression))
            .nested(NFTA_EXPR_DATA, &data);
        let counter = Attributes::default().bytes(NFTA_EXPR_NAME, &c_string("counter"));
        let expressions = Attributes::default()
            .nested(NFTA_LIST_ELEM, &counter)
            .nested(NFTA_LIST_ELEM, &jump);
        let rule = of_chain("filter", "INPUT")
            .bytes(NFTA_RULE_HANDLE, &handle.to_be_bytes())
            .nested(NFTA_RULE_EXPRESSIONS, &expressions);
        let mut bytes = Vec::new();
        message(Family::V4, NFT_MSG_GETRULE, 0, rule).append(1, &mut bytes);
        bytes.split_off(20)
    }

    #[test]
    fn only_a_jump_to_the_chain_is_found() {
        let found = |expression, to| {
            let rule = rule(7, expression, to);
            jump_to(&rule, "SC-IN-lxcbr0").map(<[u8]>::to_vec)
        };
        let handle = 7u64.to_be_bytes().to_vec();
        assert_eq!(found("immediate", "SC-IN-lxcbr0"), Some(handle));
        assert_eq!(found("immediate", "SC-IN-lxcbr01"), None);
        assert_eq!(found("immediate", "SC-IN"), None);
        assert_eq!(found("other", "SC-IN-lxcbr0"), None);
        assert_eq!(jump_to(&[], "SC-IN-lxcbr0"), None);
    }
}
