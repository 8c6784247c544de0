//! Changes of rules, sent to the kernel as one.

use super::{
    expression::expressions,
    words::{
        COMMENT, Company, Hook, NFNL_SUBSYS_NFTABLES, NFT_MSG_DELCHAIN, NFT_MSG_DELRULE,
        NFT_MSG_DELTABLE, NFT_MSG_NEWCHAIN, NFT_MSG_NEWRULE, NFT_MSG_NEWTABLE, NFTA_CHAIN_HOOK,
        NFTA_CHAIN_POLICY, NFTA_CHAIN_TYPE, NFTA_HOOK_HOOKNUM, NFTA_HOOK_PRIORITY,
        NFTA_RULE_EXPRESSIONS, NFTA_RULE_HANDLE, NFTA_RULE_USERDATA, NFTA_TABLE_NAME, message,
        named, of_chain,
    },
};
use crate::{
    firewall::{
        Family,
        rule::{Match, Rule, Verdict},
    },
    nfnetlink::{
        Nfnetlink, NfnetlinkError,
        message::{APPEND, Attributes, CREATE, Message},
    },
};

/// Most bytes of a comment, with its NUL, that nft(8) reads (NFTNL_UDATA_COMMENT_MAXLEN).
const LONGEST_COMMENT: usize = 128;

/// Changes that are one step.
#[derive(Default)]
pub(in crate::firewall) struct Batch(pub(super) Vec<Message>);

impl Batch {
    /// Makes a table unless it is there.
    pub(in crate::firewall) fn table(&mut self, family: Family, table: &str) {
        let name = Attributes::default().text(NFTA_TABLE_NAME, table);
        self.push(family, NFT_MSG_NEWTABLE, CREATE, name);
    }

    /// Removes a table, whether or not it is there.
    pub(super) fn remove_table(&mut self, family: Family, table: &str) {
        self.table(family, table);
        let name = Attributes::default().text(NFTA_TABLE_NAME, table);
        self.push(family, NFT_MSG_DELTABLE, 0, name);
    }

    /// Makes an empty chain of one that may be there.
    pub(in crate::firewall) fn chain(&mut self, family: Family, table: &str, name: &str) {
        let chain = named(table, name);
        self.push(family, NFT_MSG_NEWCHAIN, CREATE, chain);
        self.flush(family, table, name);
    }

    /// Makes an empty chain, to which packets come at `hook`, of one that may be there; `policy`
    /// becomes of those that no rule decides about.
    pub(in crate::firewall) fn base_chain(
        &mut self,
        family: Family,
        table: &str,
        name: &str,
        hook: Hook,
        policy: &Verdict,
    ) {
        let place = Attributes::default()
            .number(NFTA_HOOK_HOOKNUM, hook.number)
            .bytes(NFTA_HOOK_PRIORITY, &hook.priority.to_be_bytes());
        let policy = u32::from(*policy == Verdict::Accept);
        let chain = named(table, name)
            .nested(NFTA_CHAIN_HOOK, &place)
            .number(NFTA_CHAIN_POLICY, policy)
            .text(NFTA_CHAIN_TYPE, hook.kind);
        self.push(family, NFT_MSG_NEWCHAIN, CREATE, chain);
        self.flush(family, table, name);
    }

    fn flush(&mut self, family: Family, table: &str, chain: &str) {
        self.push(family, NFT_MSG_DELRULE, 0, of_chain(table, chain));
    }

    /// Appends a rule.
    pub(in crate::firewall) fn rule(
        &mut self,
        family: Family,
        table: &str,
        chain: &str,
        rule: &Rule,
    ) {
        self.rule_in(Company::Own, family, (table, chain), rule);
    }

    pub(super) fn rule_in(
        &mut self,
        company: Company,
        family: Family,
        place: (&str, &str),
        rule: &Rule,
    ) {
        let mut attributes = of_chain(place.0, place.1)
            .nested(NFTA_RULE_EXPRESSIONS, &expressions(rule, family, company));
        if let Some(comment) = &rule.comment {
            attributes = attributes.bytes(NFTA_RULE_USERDATA, &userdata(comment));
        }
        self.push(family, NFT_MSG_NEWRULE, CREATE | APPEND, attributes);
    }

    pub(super) fn remove_rule(&mut self, family: Family, table: &str, chain: &str, handle: &[u8]) {
        let rule = of_chain(table, chain).bytes(NFTA_RULE_HANDLE, handle);
        self.push(family, NFT_MSG_DELRULE, 0, rule);
    }

    /// Removes a chain, which exists.
    pub(super) fn remove_chain(&mut self, family: Family, table: &str, chain: &str) {
        self.flush(family, table, chain);
        self.push(family, NFT_MSG_DELCHAIN, 0, named(table, chain));
    }

    fn push(&mut self, family: Family, kind: u8, flags: u16, attributes: Attributes) {
        self.0.push(message(family, kind, flags, attributes));
    }

    /// Loads rules in the calling thread's network namespace.
    ///
    /// # Errors
    /// [`NfnetlinkError`]; nothing was changed then.
    pub(in crate::firewall) fn commit(&self) -> Result<(), NfnetlinkError> {
        let netfilter = Nfnetlink::open()?;
        let result = self.commit_by(&netfilter);
        netfilter.close_aside();
        result
    }

    pub(super) fn commit_by(&self, netfilter: &Nfnetlink) -> Result<(), NfnetlinkError> {
        netfilter.at_once("load the rules", NFNL_SUBSYS_NFTABLES, &self.0)
    }
}

/// Whether the kernel has what no container can be without: rules that it understands are loaded
/// and removed in one step.
///
/// # Errors
/// [`NfnetlinkError`]: what it cannot do.
pub(in crate::firewall) fn try_out() -> Result<(), NfnetlinkError> {
    const TABLE: &str = "softwarecontainer-trial";
    const NAT: Hook = Hook {
        kind: "nat",
        number: Hook::POSTROUTING,
        priority: 100,
    };
    let mut batch = Batch::default();
    let families = [Family::V4, Family::V6];
    for family in families.into_iter().filter(|one| one.is_there()) {
        batch.table(family, TABLE);
        batch.base_chain(family, TABLE, "nat", NAT, &Verdict::Accept);
        let rule = Rule::new([Match::Established], Verdict::Masquerade);
        batch.rule(family, TABLE, "nat", &rule);
        batch.remove_table(family, TABLE);
    }
    batch.commit()
}

/// A comment as nft(8) and iptables(8) read it: kind, length, text with a NUL.
fn userdata(comment: &str) -> Vec<u8> {
    let fits = |(at, one): &(usize, char)| at + one.len_utf8() < LONGEST_COMMENT;
    let text: String = comment
        .char_indices()
        .take_while(fits)
        .map(|(_, one)| one)
        .collect();
    let length = u8::try_from(text.len() + 1).unwrap_or(u8::MAX);
    [&[COMMENT, length], text.as_bytes(), b"\0"].concat()
}

#[cfg(test)]
mod tests {
    use nix::sched::{CloneFlags, unshare};

    use super::*;

    #[test]
    fn the_errors_of_one_change_are_not_those_of_the_next() {
        let work = || {
            unshare(CloneFlags::CLONE_NEWNET).unwrap();
            let netfilter = Nfnetlink::open().unwrap();
            let mut refused = Batch::default();
            for chain in ["a", "b", "c"] {
                refused.remove_chain(Family::V4, "none", chain);
            }
            refused.commit_by(&netfilter).unwrap_err();
            let mut done = Batch::default();
            done.table(Family::V4, "one");
            done.commit_by(&netfilter).unwrap();
        };
        std::thread::spawn(work).join().unwrap();
    }
}
