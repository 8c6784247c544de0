//! Packet filters: the rules on the host and those in each container.

mod backend;
mod chain;
pub(crate) mod container;
pub(crate) mod counters;
mod generation;
mod host;
mod iptables;
mod known;
pub(crate) mod legacy;
mod nft;
mod programs;
mod rule;
mod rule_count;
mod store;

use crate::sysctl;
pub use backend::{Backend, UnknownBackend};
pub(crate) use host::Visitor;
pub use host::{Classified, HostFirewall};
pub use iptables::FirewallError;
pub(crate) use rule::Match;
pub use rule_count::RuleCount;

/// An address family.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Family {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

impl Family {
    /// Whether this kernel has it.
    fn is_there(self) -> bool {
        self == Self::V4 || sysctl::exists("net/ipv6")
    }
}
