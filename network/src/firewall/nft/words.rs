//! The words of nf_tables' messages.
//!
//! Source: linux/netfilter/nf_tables.h.

use crate::{
    firewall::Family,
    nfnetlink::message::{Attributes, Message},
};

pub(super) const NFNL_SUBSYS_NFTABLES: u8 = 10;
pub(super) const NFT_MSG_NEWTABLE: u8 = 0;
pub(super) const NFT_MSG_DELTABLE: u8 = 2;
pub(super) const NFT_MSG_NEWCHAIN: u8 = 3;
pub(super) const NFT_MSG_DELCHAIN: u8 = 5;
pub(super) const NFT_MSG_NEWRULE: u8 = 6;
pub(super) const NFT_MSG_DELRULE: u8 = 8;
pub(super) const NFTA_TABLE_NAME: u16 = 1;
pub(super) const NFTA_CHAIN_TABLE: u16 = 1;
pub(super) const NFTA_CHAIN_NAME: u16 = 3;
pub(super) const NFTA_CHAIN_HOOK: u16 = 4;
pub(super) const NFTA_CHAIN_POLICY: u16 = 5;
pub(super) const NFTA_CHAIN_TYPE: u16 = 7;
pub(super) const NFTA_HOOK_HOOKNUM: u16 = 1;
pub(super) const NFTA_HOOK_PRIORITY: u16 = 2;
pub(super) const NFTA_RULE_TABLE: u16 = 1;
pub(super) const NFTA_RULE_CHAIN: u16 = 2;
pub(super) const NFTA_RULE_HANDLE: u16 = 3;
pub(super) const NFTA_RULE_EXPRESSIONS: u16 = 4;
pub(super) const NFTA_RULE_USERDATA: u16 = 7;
pub(super) const NFTA_LIST_ELEM: u16 = 1;
pub(super) const NFTA_EXPR_NAME: u16 = 1;
pub(super) const NFTA_EXPR_DATA: u16 = 2;

/// The kind of a comment in what userspace adds to a rule (NFTNL_UDATA_RULE_COMMENT of libnftnl).
pub(super) const COMMENT: u8 = 0;
/// Where in the kernel packets come to a chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::firewall) struct Hook {
    /// `filter` or `nat`.
    pub(super) kind: &'static str,
    /// NF_INET_ of linux/netfilter.h.
    pub(super) number: u32,
    /// The lower, the earlier; linux/netfilter_ipv4.h has those of the system's tables.
    pub(super) priority: i32,
}

impl Hook {
    pub(in crate::firewall) const INPUT: Self = Self::filter(1, 0);
    pub(in crate::firewall) const FORWARD: Self = Self::filter(2, 0);
    pub(in crate::firewall) const OUTPUT: Self = Self::filter(3, 0);
    pub(super) const POSTROUTING: u32 = 4;

    const fn filter(number: u32, priority: i32) -> Self {
        Self {
            kind: "filter",
            number,
            priority,
        }
    }
}

/// Whose table a rule is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Company {
    Own,
    /// One of iptables(8), which has to be able to show it.
    Iptables,
}

pub(super) fn message(family: Family, kind: u8, flags: u16, attributes: Attributes) -> Message {
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

pub(super) fn named(table: &str, chain: &str) -> Attributes {
    Attributes::default()
        .text(NFTA_CHAIN_TABLE, table)
        .text(NFTA_CHAIN_NAME, chain)
}

pub(super) fn of_chain(table: &str, chain: &str) -> Attributes {
    Attributes::default()
        .text(NFTA_RULE_TABLE, table)
        .text(NFTA_RULE_CHAIN, chain)
}
