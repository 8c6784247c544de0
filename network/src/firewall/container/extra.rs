//! What containers' rules can be without.

use super::super::rule::{Match, Rule, Verdict};

/// The chain where it is decided whether a connection may be begun now.
pub(super) const BEGIN: &str = "SC-BEGIN";

/// What some kernels and installations of iptables lack, and containers can be without.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Extra {
    Bound,
    Rate,
    Refusal,
    Comment,
    Log,
}

impl Extra {
    pub(super) const ALL: [Self; 5] = [
        Self::Bound,
        Self::Rate,
        Self::Refusal,
        Self::Comment,
        Self::Log,
    ];

    /// What happens without it, with the option of the kernel.
    pub(super) fn absence(self) -> &'static str {
        match self {
            Self::Bound => {
                "containers can fill the host's table of connections: their number cannot be bounded \
                 (CONFIG_NFT_CONNLIMIT, CONFIG_NETFILTER_XT_MATCH_CONNLIMIT)"
            }
            Self::Rate => {
                "containers can fill the host's table of connections: how fast they begin them \
                 cannot be bounded (CONFIG_NFT_LIMIT, CONFIG_NETFILTER_XT_MATCH_LIMIT)"
            }
            Self::Refusal => {
                "apps wait for what is not allowed until they give up: it cannot be refused \
                 (CONFIG_NFT_REJECT, CONFIG_IP_NF_TARGET_REJECT, CONFIG_IP6_NF_TARGET_REJECT)"
            }
            Self::Comment => "rules have no comments (CONFIG_NETFILTER_XT_MATCH_COMMENT)",
            Self::Log => {
                "the kernel cannot log what containers may not send or receive \
                 (CONFIG_NFT_LOG, CONFIG_NETFILTER_XT_TARGET_LOG)"
            }
        }
    }

    pub(super) fn is_in(self, rule: &Rule) -> bool {
        let matches = |wanted: fn(&Match) -> bool| rule.matches.iter().any(wanted);
        match self {
            Self::Bound => matches(|one| matches!(one, Match::ConnectionsAbove(_))),
            Self::Rate => {
                rule.verdict == Verdict::Jump(BEGIN.to_owned())
                    || matches(|one| matches!(one, Match::Below { .. }))
            }
            Self::Refusal => matches!(rule.verdict, Verdict::Refuse | Verdict::Reset),
            Self::Comment => false,
            Self::Log => matches!(rule.verdict, Verdict::Log(_)),
        }
    }
}
