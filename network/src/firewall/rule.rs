//! One rule of a packet filter, and its form for iptables-restore(8).

use softwarecontainer_capability::{class_id::ClassId, traffic::Ports};

use super::Family;
use crate::subnet::Subnet;

/// A rule: what is done with packets to which all matches apply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Rule {
    pub matches: Vec<Match>,
    pub verdict: Verdict,
    /// Why it is there, for who looks at the rules.
    pub comment: Option<String>,
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
    /// Its source is the port of this service, for UDP.
    UdpFrom(u16),
    /// TCP of any kind.
    AnyTcp,
    /// ICMP of this family.
    Icmp,
    /// A ping.
    EchoRequest,
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
    /// It is the first packet of a connection.
    First,
    /// Fewer packets than this come in a second, after a burst of as many.
    Below {
        /// Packets in a second.
        rate: u32,
        /// Packets at once.
        burst: u32,
    },
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
    /// The sender learns at once that a firewall does not let it pass.
    Refuse,
    /// The sender's TCP connection is reset.
    Reset,
    /// The kernel's log tells of it, with this in front; the next rule decides.
    Log(String),
    /// The chain that jumped here decides.
    Return,
    /// Another chain decides.
    Jump(String),
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
            comment: None,
        }
    }

    /// What lets the sender know at once that something may not pass.
    pub(crate) fn refusals() -> [Self; 2] {
        [
            Self::new([Match::AnyTcp], Verdict::Reset),
            Self::new([], Verdict::Refuse),
        ]
        .map(|one| one.with_comment("not allowed"))
    }

    pub(crate) fn accept(matches: impl IntoIterator<Item = Match>) -> Self {
        Self::new(matches, Verdict::Accept)
    }

    pub(crate) fn with_comment(self, comment: impl Into<String>) -> Self {
        Self {
            comment: Some(comment.into()),
            ..self
        }
    }

    /// The arguments of iptables(8) that follow the chain's name.
    pub(crate) fn iptables(&self, family: Family) -> String {
        let mut text = String::new();
        for one in &self.matches {
            text.push_str(&one.iptables(family));
            text.push(' ');
        }
        if let Some(comment) = &self.comment {
            text.push_str(&format!("-m comment --comment \"{comment}\" "));
        }
        text + "-j " + &self.verdict.iptables(family)
    }
}

impl Match {
    pub(crate) fn iptables(&self, family: Family) -> String {
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
            Self::EchoRequest => Self::IcmpType(match family {
                V4 => 8,
                V6 => 128,
            })
            .iptables(family),
            Self::IcmpType(kind) => match family {
                V4 => format!("-p icmp -m icmp --icmp-type {kind}"),
                V6 => format!("-p ipv6-icmp -m icmp6 --icmpv6-type {kind}"),
            },
            Self::UdpFrom(port) => format!("-p udp --sport {port}"),
            Self::AnyTcp => "-p tcp".to_owned(),
            Self::Tcp(ports) => with_ports("tcp", *ports),
            Self::Udp(ports) => with_ports("udp", *ports),
            Self::Established => "-m conntrack --ctstate ESTABLISHED,RELATED".to_owned(),
            Self::New => "-m conntrack --ctstate NEW".to_owned(),
            Self::First => "-m conntrack --ctstate NEW ! --ctstatus CONFIRMED".to_owned(),
            Self::Below { rate, burst } => {
                format!("-m limit --limit {rate}/second --limit-burst {burst}")
            }
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

impl Verdict {
    fn iptables(&self, family: Family) -> String {
        match self {
            Self::Accept => "ACCEPT".to_owned(),
            Self::Drop => "DROP".to_owned(),
            Self::Refuse => match family {
                Family::V4 => "REJECT --reject-with icmp-admin-prohibited".to_owned(),
                Family::V6 => "REJECT --reject-with icmp6-adm-prohibited".to_owned(),
            },
            Self::Reset => "REJECT --reject-with tcp-reset".to_owned(),
            Self::Log(prefix) => format!("LOG --log-prefix \"{prefix}\""),
            Self::Return => "RETURN".to_owned(),
            Self::Jump(chain) => chain.clone(),
            Self::Masquerade => "MASQUERADE".to_owned(),
            Self::Classify(class) => format!("CLASSIFY --set-class {class}"),
        }
    }
}
