//! What a rule has counted.

use super::Family;

/// A rule of a container and what it has counted since the rules were last changed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RuleCount {
    /// IPv4 or IPv6.
    pub family: Family,
    /// The chain that it is in, such as `OUTPUT`.
    pub chain: String,
    /// What it is for, such as `OUTGOING 192.0.2.0/24 tcp 443`, if that is known; otherwise the
    /// rule in the form of iptables(8).
    pub rule: String,
    /// Packets to which it applied.
    pub packets: u64,
    /// Bytes of these, with the headers of IP.
    pub bytes: u64,
}
