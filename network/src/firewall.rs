//! Packet filters: the rules on the host and those in each container.

mod chain;
pub(crate) mod container;
pub(crate) mod counters;
mod generation;
mod host;
mod iptables;
mod known;
mod nft;
mod rule;

pub use counters::RuleCount;
pub(crate) use host::Visitor;
pub use host::{Classified, HostFirewall};
pub use iptables::FirewallError;
pub(crate) use rule::Match;

/// An address family.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Family {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}
