//! What may pass between a container and others, whatever the form in which it is said.

/// Who starts a conversation.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Direction {
    /// The other side.
    Incoming,
    /// The container.
    Outgoing,
}

/// A kind of traffic. Ports are those of the side that is called.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Traffic {
    /// Every protocol, also those that the manifest format has no name for.
    Any,
    /// ICMP for IPv4 hosts, ICMPv6 for IPv6 hosts.
    Icmp,
    /// TCP.
    Tcp(Ports),
    /// UDP.
    Udp(Ports),
}

/// A range of port numbers, both ends included.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Ports {
    first: u16,
    last: u16,
}

impl Ports {
    /// Every port.
    pub const ALL: Self = Self {
        first: 0,
        last: u16::MAX,
    };

    /// The ports from `first` to `last`; `None` when they are the wrong way round.
    #[must_use]
    pub fn new(first: u16, last: u16) -> Option<Self> {
        (first <= last).then_some(Self { first, last })
    }

    /// The lowest.
    #[must_use]
    pub fn first(self) -> u16 {
        self.first
    }

    /// The highest.
    #[must_use]
    pub fn last(self) -> u16 {
        self.last
    }
}
