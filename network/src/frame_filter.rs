//! Which frames a container may put on the bridge: a classic BPF program for the host's end of its
//! veth pair.
//!
//! The container's own firewall decides whom it may talk to. This filter sees to it that others can
//! rely on the source addresses that they see: a frame passes only if its hardware address, and the
//! address in its ARP, IPv4 or IPv6 header, are those that the agent gave to the container. So no
//! container can pose as another one, as the bridge or as a router.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::netlink::{Instruction, MacAddress};

/// The addresses that a container may use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Hardware address of its eth0.
    pub mac: MacAddress,
    /// Its IPv4 address.
    pub v4: Ipv4Addr,
    /// Its IPv6 addresses, link-local ones included.
    pub v6: Vec<Ipv6Addr>,
}

// linux/pkt_cls.h: TC_ACT_UNSPEC (the next filter decides) and TC_ACT_SHOT
const PASS: u32 = u32::MAX;
const DROP: u32 = 2;

// linux/bpf_common.h: class, size and mode in one number.
const LOAD_WORD: u16 = 0x20;
const LOAD_HALF: u16 = 0x28;
const LOAD_BYTE: u16 = 0x30;
const JUMP_IF_EQUAL: u16 = 0x15;
const JUMP: u16 = 0x05;
const RETURN: u16 = 0x06;
/// SKF_AD_OFF + SKF_AD_VLAN_TAG_PRESENT of linux/filter.h: a tag that the kernel has taken out of
/// the frame.
const VLAN_TAG_PRESENT: u32 = 0xffff_f000 + 48;

// Offsets from the start of the Ethernet header.
const SOURCE_MAC: u32 = 6;
const ETHER_TYPE: u32 = 12;
const ARP_TYPES: u32 = 14;
const ARP_SIZES: u32 = 18;
const ARP_SENDER_MAC: u32 = 22;
const ARP_SENDER_IP: u32 = 28;
const IPV4_SOURCE: u32 = 26;
const IPV6_NEXT_HEADER: u32 = 20;
const IPV6_SOURCE: u32 = 22;
const IPV6_PAYLOAD: u32 = 54;
const ND_TARGET: u32 = IPV6_PAYLOAD + 8;

/// Drops everything: the state of a container without the network gateway.
#[must_use]
pub fn closed() -> Vec<Instruction> {
    vec![statement(RETURN, DROP)]
}

/// Passes frames that are honest about who sends them.
#[must_use]
pub fn honest(identity: &Identity) -> Vec<Instruction> {
    let mut program = Program::default();
    program.load(LOAD_WORD, VLAN_TAG_PRESENT);
    program.require(0);
    program.require_mac(SOURCE_MAC, identity.mac);
    program.load(LOAD_HALF, ETHER_TYPE);
    let v4 = program.block(|program| {
        program.require_v4(IPV4_SOURCE, identity.v4);
        program.end(PASS);
    });
    let arp = program.block(|program| {
        program.load(LOAD_WORD, ARP_TYPES);
        program.require(0x0001_0800);
        program.load(LOAD_HALF, ARP_SIZES);
        program.require(0x0604);
        program.require_mac(ARP_SENDER_MAC, identity.mac);
        program.require_v4(ARP_SENDER_IP, identity.v4);
        program.end(PASS);
    });
    let v6 = program.block(|program| ipv6(program, &identity.v6));
    program.branch(0x0800, v4);
    program.branch(0x0806, arp);
    program.branch(0x86dd, v6);
    program.end(DROP);
    program.instructions
}

/// Extension headers could hide a neighbour advertisement from this filter, hence only those that
/// honest traffic has: fragments (in which the kernel ignores neighbour discovery) and multicast
/// listener reports.
fn ipv6(program: &mut Program, own: &[Ipv6Addr]) {
    let unspecified = program.block(|program| {
        // Duplicate address detection, and the listener report that goes before it.
        program.load(LOAD_BYTE, IPV6_NEXT_HEADER);
        let solicitation = program.block(|program| {
            program.load(LOAD_BYTE, IPV6_PAYLOAD);
            program.require(135);
            program.end(PASS);
        });
        let options = program.block(listener_report);
        program.branch(58, solicitation);
        program.branch(0, options);
        program.end(DROP);
    });
    let honest = program.block(|program| {
        program.load(LOAD_BYTE, IPV6_NEXT_HEADER);
        let icmp = program.block(|program| {
            program.load(LOAD_BYTE, IPV6_PAYLOAD);
            let advertisement = program.block(|program| {
                for address in own {
                    let is_own = program.block(|program| program.end(PASS));
                    program.branch_v6(ND_TARGET, *address, is_own);
                }
                program.end(DROP);
            });
            let routers_only = program.block(|program| program.end(DROP));
            let routers_too = routers_only.clone();
            program.branch(136, advertisement);
            program.branch(134, routers_only);
            program.branch(137, routers_too);
            program.end(PASS);
        });
        let options = program.block(listener_report);
        let routing = program.block(|program| program.end(DROP));
        let destination = routing.clone();
        program.branch(58, icmp);
        program.branch(0, options);
        program.branch(43, routing);
        program.branch(60, destination);
        program.end(PASS);
    });
    for address in own {
        program.branch_v6(IPV6_SOURCE, *address, honest.clone());
    }
    program.branch_v6(IPV6_SOURCE, Ipv6Addr::UNSPECIFIED, unspecified);
    program.end(DROP);
}

/// A hop-by-hop header of eight bytes, then ICMPv6 of a listener report.
fn listener_report(program: &mut Program) {
    program.load(LOAD_HALF, IPV6_PAYLOAD);
    program.require(58 << 8);
    program.load(LOAD_BYTE, IPV6_PAYLOAD + 8);
    for kind in [131, 132, 143] {
        let pass = program.block(|program| program.end(PASS));
        program.branch(kind, pass);
    }
    program.end(DROP);
}

fn statement(code: u16, k: u32) -> Instruction {
    Instruction {
        code,
        jt: 0,
        jf: 0,
        k,
    }
}

/// A program under construction. Each block ends with a return, so that it can stand anywhere;
/// blocks are put where they are used, which keeps all conditional jumps to one or two instructions
/// (their offsets have 8 bits).
#[derive(Default)]
struct Program {
    instructions: Vec<Instruction>,
}

impl Program {
    fn block(&self, build: impl FnOnce(&mut Program)) -> Vec<Instruction> {
        let mut inner = Program::default();
        build(&mut inner);
        inner.instructions
    }

    fn load(&mut self, code: u16, offset: u32) {
        self.instructions.push(statement(code, offset));
    }

    fn end(&mut self, verdict: u32) {
        self.instructions.push(statement(RETURN, verdict));
    }

    /// Drops the frame unless what was loaded is `value`.
    fn require(&mut self, value: u32) {
        self.instructions.push(Instruction {
            code: JUMP_IF_EQUAL,
            jt: 1,
            jf: 0,
            k: value,
        });
        self.end(DROP);
    }

    /// Goes on with `block` if what was loaded is `value`.
    fn branch(&mut self, value: u32, block: Vec<Instruction>) {
        self.instructions.push(Instruction {
            code: JUMP_IF_EQUAL,
            jt: 1,
            jf: 0,
            k: value,
        });
        self.skip(block.len());
        self.instructions.extend(block);
    }

    /// Goes on with `block` if the address at `offset` is `address`.
    fn branch_v6(&mut self, offset: u32, address: Ipv6Addr, block: Vec<Instruction>) {
        let words = words(address);
        // What is left to skip after the test of word i: the tests of the later words, then the
        // block.
        for (later, (at, word)) in (0..4usize).rev().zip((offset..).step_by(4).zip(words)) {
            self.load(LOAD_WORD, at);
            self.instructions.push(Instruction {
                code: JUMP_IF_EQUAL,
                jt: 1,
                jf: 0,
                k: word,
            });
            self.skip(later * 3 + block.len());
        }
        self.instructions.extend(block);
    }

    fn skip(&mut self, instructions: usize) {
        // A program is far shorter than u32::MAX; the kernel refuses more than 4096 instructions.
        let distance = u32::try_from(instructions).unwrap_or(u32::MAX);
        self.instructions.push(statement(JUMP, distance));
    }

    fn require_mac(&mut self, offset: u32, mac: MacAddress) {
        let [a, b, c, d, e, f] = mac.0;
        self.load(LOAD_WORD, offset);
        self.require(u32::from_be_bytes([a, b, c, d]));
        self.load(LOAD_HALF, offset + 4);
        self.require(u32::from(u16::from_be_bytes([e, f])));
    }

    fn require_v4(&mut self, offset: u32, address: Ipv4Addr) {
        self.load(LOAD_WORD, offset);
        self.require(u32::from(address));
    }
}

fn words(address: Ipv6Addr) -> [u32; 4] {
    let bits = u128::from(address);
    [96, 64, 32, 0].map(|shift| u32::try_from(bits >> shift & 0xffff_ffff).unwrap_or(0))
}

#[cfg(test)]
mod tests;
