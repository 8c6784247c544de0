//! Rules as the kernel's expressions: each loads something of a packet into a register, compares
//! it, or does something.
//!
//! Sources: linux/netfilter/nf_tables.h; for offsets RFC 791, 8200, 9293, 768 and 792.

use std::net::IpAddr;

use softwarecontainer_capability::traffic::Ports;

use super::words::{Company, NFTA_EXPR_DATA, NFTA_EXPR_NAME, NFTA_LIST_ELEM};
use crate::{
    firewall::{
        Family,
        rule::{Match, Rule, Verdict},
    },
    nfnetlink::message::Attributes,
    subnet::Subnet,
};

pub(super) const NFTA_IMMEDIATE_DATA: u16 = 2;
pub(super) const NFTA_DATA_VERDICT: u16 = 2;
pub(super) const NFTA_VERDICT_CHAIN: u16 = 2;
const NFTA_IMMEDIATE_DREG: u16 = 1;
const NFTA_VERDICT_CODE: u16 = 1;
const NFTA_DATA_VALUE: u16 = 1;
const REGISTER: u32 = 1;
const NFT_REG_VERDICT: u32 = 0;
// Verdicts.
const NF_DROP: i32 = 0;
const NF_ACCEPT: i32 = 1;
const NFT_JUMP: i32 = -3;
const NFT_RETURN: i32 = -5;
// Comparisons.
const NFT_CMP_EQ: u32 = 0;
const NFT_CMP_NEQ: u32 = 1;
// Properties of packets.
const NFT_META_PRIORITY: u32 = 2;
const NFT_META_IIFNAME: u32 = 6;
const NFT_META_OIFNAME: u32 = 7;
const NFT_META_L4PROTO: u32 = 16;
const NFT_PAYLOAD_NETWORK_HEADER: u32 = 1;
const NFT_PAYLOAD_TRANSPORT_HEADER: u32 = 2;
const NFT_CT_STATE: u32 = 0;
const NFT_CT_STATUS: u32 = 2;
/// Bits of a connection's state: NF_CT_STATE_BIT of linux/netfilter/nf_conntrack_common.h.
const ESTABLISHED_OR_RELATED: u32 = 2 | 4;
const NEW: u32 = 8;
/// IPS_CONFIRMED.
const CONFIRMED: u32 = 8;
const NFT_CONNLIMIT_F_INV: u32 = 1;
// Refusals, with the codes of linux/icmp.h and linux/icmpv6.h.
const NFT_REJECT_ICMP_UNREACH: u32 = 0;
const NFT_REJECT_TCP_RST: u32 = 1;
const ICMP_PKT_FILTERED: u8 = 13;
const ICMPV6_ADM_PROHIBITED: u8 = 1;
/// Length of an interface's name in the kernel (IFNAMSIZ).
const NAME: usize = 16;
// Protocols.
const ICMP: u8 = 1;
const TCP: u8 = 6;
const UDP: u8 = 17;
const ICMPV6: u8 = 58;

/// The expressions of a rule, with a counter of what it applies to.
pub(super) fn expressions(rule: &Rule, family: Family, company: Company) -> Attributes {
    let mut list = List::default();
    for one in &rule.matches {
        list.matches(one, family);
    }
    list.push("counter", Attributes::default());
    match (&rule.verdict, company) {
        (Verdict::Masquerade, Company::Iptables) => list.push("target", masquerade(family)),
        (verdict, _) => list.verdict(verdict, family),
    }
    list.0
}

#[derive(Default)]
struct List(Attributes);

impl List {
    fn push(&mut self, name: &str, data: Attributes) {
        let one = Attributes::default()
            .text(NFTA_EXPR_NAME, name)
            .nested(NFTA_EXPR_DATA, &data);
        self.0 = std::mem::take(&mut self.0).nested(NFTA_LIST_ELEM, &one);
    }

    fn matches(&mut self, one: &Match, family: Family) {
        match one {
            Match::From(device) => self.interface(NFT_META_IIFNAME, NFT_CMP_EQ, device),
            Match::To(device) => self.interface(NFT_META_OIFNAME, NFT_CMP_EQ, device),
            Match::NotTo(device) => self.interface(NFT_META_OIFNAME, NFT_CMP_NEQ, device),
            Match::Source(subnet) => self.address(Side::Source, NFT_CMP_EQ, subnet),
            Match::Destination(subnet) => self.address(Side::Destination, NFT_CMP_EQ, subnet),
            Match::NotDestination(subnet) => self.address(Side::Destination, NFT_CMP_NEQ, subnet),
            Match::UdpFrom(port) => {
                self.protocol(UDP);
                self.transport(0, 2);
                self.compare(NFT_CMP_EQ, &port.to_be_bytes());
            }
            Match::AnyTcp => self.protocol(TCP),
            Match::Tcp(ports) => self.ports(TCP, *ports),
            Match::Udp(ports) => self.ports(UDP, *ports),
            Match::Icmp => self.protocol(icmp(family)),
            Match::EchoRequest => self.icmp_type(
                family,
                match family {
                    Family::V4 => 8,
                    Family::V6 => 128,
                },
            ),
            Match::IcmpType(kind) => self.icmp_type(family, *kind),
            Match::Established => self.state(ESTABLISHED_OR_RELATED),
            Match::New => self.state(NEW),
            Match::First => {
                self.state(NEW);
                self.connection(NFT_CT_STATUS, CONFIRMED);
                self.compare(NFT_CMP_EQ, &0u32.to_ne_bytes());
            }
            Match::Below { rate, burst } => self.push("limit", limit(*rate, *burst)),
            Match::ConnectionsAbove(most) => {
                let limit = Attributes::default()
                    .number(1, *most)
                    .number(2, NFT_CONNLIMIT_F_INV);
                self.push("connlimit", limit);
            }
        }
    }

    fn verdict(&mut self, verdict: &Verdict, family: Family) {
        match verdict {
            Verdict::Accept => self.decide(NF_ACCEPT, None),
            Verdict::Drop => self.decide(NF_DROP, None),
            Verdict::Return => self.decide(NFT_RETURN, None),
            Verdict::Jump(chain) => self.decide(NFT_JUMP, Some(chain)),
            Verdict::Refuse => {
                let code = match family {
                    Family::V4 => ICMP_PKT_FILTERED,
                    Family::V6 => ICMPV6_ADM_PROHIBITED,
                };
                self.refuse(NFT_REJECT_ICMP_UNREACH, code);
            }
            Verdict::Reset => self.refuse(NFT_REJECT_TCP_RST, 0),
            Verdict::Log(prefix) => {
                // NFTA_LOG_PREFIX; the level is that of warnings by default.
                self.push("log", Attributes::default().text(2, prefix));
            }
            Verdict::Masquerade => self.push("masq", Attributes::default()),
            Verdict::Classify(class) => {
                self.load_value(&class.number().to_ne_bytes());
                // NFTA_META_KEY and NFTA_META_SREG.
                let set = Attributes::default()
                    .number(2, NFT_META_PRIORITY)
                    .number(3, REGISTER);
                self.push("meta", set);
            }
        }
    }

    fn interface(&mut self, which: u32, how: u32, device: &str) {
        self.meta(which);
        let mut name = [0; NAME];
        for (to, from) in name.iter_mut().zip(device.bytes()) {
            *to = from;
        }
        self.compare(how, &name);
    }

    fn address(&mut self, side: Side, how: u32, subnet: &Subnet) {
        let bytes = octets(subnet.address());
        let offset = match (subnet.family(), side) {
            (Family::V4, Side::Source) => 12,
            (Family::V4, Side::Destination) => 16,
            (Family::V6, Side::Source) => 8,
            (Family::V6, Side::Destination) => 24,
        };
        self.payload(NFT_PAYLOAD_NETWORK_HEADER, offset, bytes.len());
        let mask = mask(subnet.prefix(), bytes.len());
        if mask.iter().any(|byte| *byte != u8::MAX) {
            self.mask(&mask);
        }
        self.compare(how, &bytes);
    }

    fn ports(&mut self, protocol: u8, ports: Ports) {
        self.protocol(protocol);
        if ports == Ports::ALL {
            return;
        }
        self.transport(2, 2);
        let (first, last) = (ports.first().to_be_bytes(), ports.last().to_be_bytes());
        if first == last {
            self.compare(NFT_CMP_EQ, &first);
            return;
        }
        // NFTA_RANGE_SREG, _OP, _FROM_DATA and _TO_DATA.
        let range = Attributes::default()
            .number(1, REGISTER)
            .number(2, NFT_CMP_EQ)
            .nested(3, &value(&first))
            .nested(4, &value(&last));
        self.push("range", range);
    }

    fn protocol(&mut self, protocol: u8) {
        self.meta(NFT_META_L4PROTO);
        self.compare(NFT_CMP_EQ, &[protocol]);
    }

    fn icmp_type(&mut self, family: Family, kind: u8) {
        self.protocol(icmp(family));
        self.transport(0, 1);
        self.compare(NFT_CMP_EQ, &[kind]);
    }

    /// The connection is in one of these states.
    fn state(&mut self, states: u32) {
        self.connection(NFT_CT_STATE, states);
        self.compare(NFT_CMP_NEQ, &0u32.to_ne_bytes());
    }

    /// Loads some bits of what is known of the connection.
    fn connection(&mut self, what: u32, bits: u32) {
        // NFTA_CT_DREG and NFTA_CT_KEY.
        let load = Attributes::default().number(1, REGISTER).number(2, what);
        self.push("ct", load);
        self.mask(&bits.to_ne_bytes());
    }

    fn meta(&mut self, what: u32) {
        // NFTA_META_DREG and NFTA_META_KEY.
        let load = Attributes::default().number(1, REGISTER).number(2, what);
        self.push("meta", load);
    }

    fn transport(&mut self, offset: u32, length: usize) {
        self.payload(NFT_PAYLOAD_TRANSPORT_HEADER, offset, length);
    }

    fn payload(&mut self, base: u32, offset: u32, length: usize) {
        // NFTA_PAYLOAD_DREG, _BASE, _OFFSET and _LEN.
        let load = Attributes::default()
            .number(1, REGISTER)
            .number(2, base)
            .number(3, offset)
            .number(4, length_of(length));
        self.push("payload", load);
    }

    fn mask(&mut self, mask: &[u8]) {
        // NFTA_BITWISE_SREG, _DREG, _LEN, _MASK and _XOR.
        let and = Attributes::default()
            .number(1, REGISTER)
            .number(2, REGISTER)
            .number(3, length_of(mask.len()))
            .nested(4, &value(mask))
            .nested(5, &value(&vec![0; mask.len()]));
        self.push("bitwise", and);
    }

    fn compare(&mut self, how: u32, with: &[u8]) {
        // NFTA_CMP_SREG, _OP and _DATA.
        let comparison = Attributes::default()
            .number(1, REGISTER)
            .number(2, how)
            .nested(3, &value(with));
        self.push("cmp", comparison);
    }

    fn load_value(&mut self, bytes: &[u8]) {
        let load = Attributes::default()
            .number(NFTA_IMMEDIATE_DREG, REGISTER)
            .nested(NFTA_IMMEDIATE_DATA, &value(bytes));
        self.push("immediate", load);
    }

    fn decide(&mut self, code: i32, chain: Option<&str>) {
        let mut verdict = Attributes::default().bytes(NFTA_VERDICT_CODE, &code.to_be_bytes());
        if let Some(chain) = chain {
            verdict = verdict.text(NFTA_VERDICT_CHAIN, chain);
        }
        let data = Attributes::default().nested(NFTA_DATA_VERDICT, &verdict);
        let load = Attributes::default()
            .number(NFTA_IMMEDIATE_DREG, NFT_REG_VERDICT)
            .nested(NFTA_IMMEDIATE_DATA, &data);
        self.push("immediate", load);
    }

    fn refuse(&mut self, how: u32, code: u8) {
        // NFTA_REJECT_TYPE and NFTA_REJECT_ICMP_CODE.
        let refusal = Attributes::default().number(1, how).bytes(2, &[code]);
        self.push("reject", refusal);
    }
}

#[derive(Clone, Copy)]
enum Side {
    Source,
    Destination,
}

fn icmp(family: Family) -> u8 {
    match family {
        Family::V4 => ICMP,
        Family::V6 => ICMPV6,
    }
}

/// `rate` packets in a second, after a burst.
fn limit(rate: u32, burst: u32) -> Attributes {
    // NFTA_LIMIT_RATE, _UNIT (in seconds), _BURST and _TYPE (packets).
    Attributes::default()
        .long(1, rate.into())
        .long(2, 1)
        .number(3, burst)
        .number(4, 0)
}

/// The target MASQUERADE of iptables(8), with struct nf_nat_ipv4_multi_range_compat that holds one
/// range, or struct nf_nat_range, of linux/netfilter/nf_nat.h.
fn masquerade(family: Family) -> Attributes {
    let range = match family {
        Family::V4 => [&1u32.to_ne_bytes()[..], &[0; 16]].concat(),
        Family::V6 => vec![0; 40],
    };
    // NFTA_TARGET_NAME, _REV and _INFO of linux/netfilter/nf_tables_compat.h.
    Attributes::default()
        .text(1, "MASQUERADE")
        .number(2, 0)
        .bytes(3, &range)
}

fn value(bytes: &[u8]) -> Attributes {
    Attributes::default().bytes(NFTA_DATA_VALUE, bytes)
}

fn octets(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    }
}

/// So many bits at the front of so many bytes.
fn mask(prefix: u8, bytes: usize) -> Vec<u8> {
    (0..bytes)
        .map(|byte| {
            let left = usize::from(prefix).saturating_sub(8 * byte);
            u8::MAX
                .checked_shl(8_u32.saturating_sub(length_of(left)))
                .unwrap_or(0)
        })
        .collect()
}

fn length_of(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mask_has_as_many_bits_as_the_prefix() {
        assert_eq!(mask(0, 4), [0, 0, 0, 0]);
        assert_eq!(mask(17, 4), [255, 255, 128, 0]);
        assert_eq!(mask(32, 4), [255; 4]);
        assert_eq!(
            mask(63, 16)[..9],
            [255, 255, 255, 255, 255, 255, 255, 254, 0]
        );
    }
}
