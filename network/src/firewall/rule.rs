//! One rule of a packet filter, and its form for iptables-restore(8).

use std::fmt;

use softwarecontainer_capability::{class_id::ClassId, traffic::Ports};

use super::Family;
use crate::subnet::Subnet;

/// A rule: what is done with packets to which all matches apply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Rule {
    pub matches: Vec<Match>,
    pub verdict: Verdict,
}

/// A property of a packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Match {
    /// It arrived there.
    From(String),
    /// It leaves there.
    To(String),
    /// It leaves elsewhere.
    NotTo(String),
    /// Its source is in there.
    Source(Subnet),
    /// Its destination is in there.
    Destination(Subnet),
    /// Its destination is not in there.
    NotDestination(Subnet),
    /// ICMP of this family.
    Icmp,
    /// An ICMP message of this type, of this family.
    IcmpType(u8),
    /// TCP to these ports.
    Tcp(Ports),
    /// UDP to these ports.
    Udp(Ports),
    /// It belongs to a connection that was allowed, or is an error about one.
    Established,
    /// It begins a connection.
    New,
    /// More connections than this exist.
    ConnectionsAbove(u32),
}

/// What is done with a packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It passes this hook.
    Accept,
    /// It disappears.
    Drop,
    /// It gets the address of the interface that it leaves by.
    Masquerade,
    /// It belongs to a class of tc(8).
    Classify(ClassId),
}

impl Rule {
    pub(crate) fn new(matches: impl IntoIterator<Item = Match>, verdict: Verdict) -> Self {
        Self {
            matches: matches.into_iter().collect(),
            verdict,
        }
    }

    pub(crate) fn accept(matches: impl IntoIterator<Item = Match>) -> Self {
        Self::new(matches, Verdict::Accept)
    }

    /// The arguments of iptables(8) that follow the chain's name.
    pub(crate) fn iptables(&self, family: Family) -> String {
        let mut text = String::new();
        for one in &self.matches {
            text.push_str(&one.iptables(family));
            text.push(' ');
        }
        text + &format!("-j {}", self.verdict)
    }
}

impl Match {
    fn iptables(&self, family: Family) -> String {
        use Family::{V4, V6};
        match self {
            Self::From(device) => format!("-i {device}"),
            Self::To(device) => format!("-o {device}"),
            Self::NotTo(device) => format!("! -o {device}"),
            Self::Source(subnet) => format!("-s {subnet}"),
            Self::Destination(subnet) => format!("-d {subnet}"),
            Self::NotDestination(subnet) => format!("! -d {subnet}"),
            Self::Icmp => match family {
                V4 => "-p icmp".to_owned(),
                V6 => "-p ipv6-icmp".to_owned(),
            },
            Self::IcmpType(kind) => match family {
                V4 => format!("-p icmp -m icmp --icmp-type {kind}"),
                V6 => format!("-p ipv6-icmp -m icmp6 --icmpv6-type {kind}"),
            },
            Self::Tcp(ports) => with_ports("tcp", *ports),
            Self::Udp(ports) => with_ports("udp", *ports),
            Self::Established => "-m conntrack --ctstate ESTABLISHED,RELATED".to_owned(),
            Self::New => "-m conntrack --ctstate NEW".to_owned(),
            Self::ConnectionsAbove(most) => {
                format!("-m connlimit --connlimit-above {most} --connlimit-mask 0")
            }
        }
    }
}

fn with_ports(protocol: &str, ports: Ports) -> String {
    let (first, last) = (ports.first(), ports.last());
    if ports == Ports::ALL {
        format!("-p {protocol}")
    } else if first == last {
        format!("-p {protocol} --dport {first}")
    } else {
        format!("-p {protocol} --dport {first}:{last}")
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Accept => f.write_str("ACCEPT"),
            Self::Drop => f.write_str("DROP"),
            Self::Masquerade => f.write_str("MASQUERADE"),
            Self::Classify(class) => write!(f, "CLASSIFY --set-class {class}"),
        }
    }
}
