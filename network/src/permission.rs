//! What may pass between a container and others, with addresses in place of names.

use softwarecontainer_capability::traffic::{Direction, Traffic};

use crate::subnet::Subnet;

/// One kind of traffic that may pass; replies to it pass too.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Permission {
    /// Who starts the conversation.
    pub direction: Direction,
    /// The other side.
    pub peer: Peer,
    /// What is said.
    pub traffic: Traffic,
}

/// The other side of a conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Peer {
    /// Anybody, IPv4 and IPv6.
    Anybody,
    /// Every address in there.
    Subnet(Subnet),
}
