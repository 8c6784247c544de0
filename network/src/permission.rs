//! What may pass between a container and others, with addresses in place of names.

use std::fmt;

use softwarecontainer_capability::traffic::{Direction, Ports, Traffic};

use crate::{
    firewall::{Family, Match},
    subnet::Subnet,
};

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

/// As in manifests: `OUTGOING 192.0.2.0/24 tcp 80-90`.
impl fmt::Display for Permission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.direction {
            Direction::Incoming => "INCOMING ",
            Direction::Outgoing => "OUTGOING ",
        })?;
        match self.peer {
            Peer::Anybody => f.write_str("*")?,
            Peer::Subnet(subnet) => write!(f, "{subnet}")?,
        }
        let (protocol, ports) = match self.traffic {
            Traffic::Any => return Ok(()),
            Traffic::Icmp => return f.write_str(" icmp"),
            Traffic::Tcp(ports) => ("tcp", ports),
            Traffic::Udp(ports) => ("udp", ports),
        };
        write!(f, " {protocol}")?;
        if ports == Ports::ALL {
            return Ok(());
        }
        write!(f, " {}", ports.first())?;
        if ports.first() != ports.last() {
            write!(f, "-{}", ports.last())?;
        }
        Ok(())
    }
}

impl Permission {
    /// The properties of packets, of one family, that it lets pass; `None` if there are none.
    pub(crate) fn matches(&self, family: Family) -> Option<Vec<Match>> {
        let peer = match self.peer {
            Peer::Anybody => None,
            Peer::Subnet(subnet) if subnet.family() != family => return None,
            Peer::Subnet(subnet) => Some(match self.direction {
                Direction::Incoming => Match::Source(subnet),
                Direction::Outgoing => Match::Destination(subnet),
            }),
        };
        // Also for incoming traffic the ports are those of the side that is called.
        let traffic = match self.traffic {
            Traffic::Any => None,
            Traffic::Icmp => Some(Match::Icmp),
            Traffic::Tcp(ports) => Some(Match::Tcp(ports)),
            Traffic::Udp(ports) => Some(Match::Udp(ports)),
        };
        Some(peer.into_iter().chain(traffic).collect())
    }
}

/// The other side of a conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Peer {
    /// Anybody, IPv4 and IPv6. What the container starts goes to the world outside only: not to
    /// other containers, and of the host to what is open for all of them.
    Anybody,
    /// Every address in there.
    Subnet(Subnet),
}
