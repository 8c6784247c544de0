//! Raw sockets for ICMP and nothing else.
//!
//! Many ping(8), busybox's for one, open a raw socket (raw(7)), which needs CAP_NET_RAW. That
//! capability opens more: packets past the firewall, headers of one's own making, source addresses
//! of others. The rules here close all of it again for processes that have the capability for ICMP
//! only. io_uring makes sockets without system calls, so where that is open this must not be.

use libseccomp::{
    ScmpAction, ScmpArgCompare, ScmpCompareOp, ScmpFilterContext, ScmpSyscall, error::SeccompError,
};

/// The kernel looks at the low half of an `int`, so its other half must not count here either.
const INT: u64 = 0xffff_ffff;
/// The part of a socket's type that is no flag (socket(2)).
const TYPE: u64 = 0xf;

const RAW: u64 = libc::SOCK_RAW as u64;
/// SOCK_PACKET (linux/net.h), the way to packets before AF_PACKET.
const PACKET: u64 = 10;
const INET: u64 = libc::AF_INET as u64;
const INET6: u64 = libc::AF_INET6 as u64;
const PACKET_FAMILY: u64 = libc::AF_PACKET as u64;
/// Families whose raw sockets nobody needs a capability for (unix(7), netlink(7), SocketCAN).
const HARMLESS: [u64; 3] = [
    libc::AF_UNIX as u64,
    libc::AF_NETLINK as u64,
    libc::AF_CAN as u64,
];
/// Higher than any family (AF_MAX in linux/socket.h), with room for new ones.
const FAMILIES: u64 = 64;

/// Options with which a socket makes headers of its own, takes another's address, or marks packets:
/// level and name (linux/in.h, linux/in6.h, asm-generic/socket.h).
const OPTIONS: [(u64, u64); 7] = [
    (0, 3),    // IP_HDRINCL
    (0, 19),   // IP_TRANSPARENT
    (41, 36),  // IPV6_HDRINCL
    (58, 36),  // the same at the level of ICMPv6
    (255, 36), // and of SOL_RAW
    (41, 75),  // IPV6_TRANSPARENT
    (1, 36),   // SO_MARK
];

/// Adds what a process with CAP_NET_RAW must not do.
pub(super) fn restrict(filter: &mut ScmpFilterContext) -> Result<(), SeccompError> {
    let refused = ScmpAction::Errno(libc::EPERM);
    let is =
        |index, mask, value| ScmpArgCompare::new(index, ScmpCompareOp::MaskedEqual(mask), value);
    let socket = ScmpSyscall::from_name("socket")?;
    let family = |value| is(0, INT, value);
    let kind = |value| is(1, TYPE, value);
    for other in (0..FAMILIES).filter(|other| !HARMLESS.contains(other)) {
        match other {
            INET | INET6 => {
                let protocol = if other == INET {
                    libc::IPPROTO_ICMP
                } else {
                    libc::IPPROTO_ICMPV6
                };
                let protocol = u64::from(protocol.cast_unsigned());
                let others = ScmpArgCompare::new(2, ScmpCompareOp::NotEqual, protocol);
                filter.add_rule_conditional(
                    refused,
                    socket,
                    &[family(other), kind(RAW), others],
                )?;
                filter.add_rule_conditional(refused, socket, &[family(other), kind(PACKET)])?;
            }
            PACKET_FAMILY => {
                filter.add_rule_conditional(refused, socket, &[family(other)])?;
            }
            _ => {
                filter.add_rule_conditional(refused, socket, &[family(other), kind(RAW)])?;
            }
        }
    }
    let set_option = ScmpSyscall::from_name("setsockopt")?;
    for (level, name) in OPTIONS {
        filter.add_rule_conditional(refused, set_option, &[is(1, INT, level), is(2, INT, name)])?;
    }
    // Its arguments are in memory; ENOSYS makes C libraries use the calls above.
    let multiplexed = ScmpSyscall::from_name("socketcall")?;
    filter
        .add_rule(ScmpAction::Errno(libc::ENOSYS), multiplexed)
        .map(drop)
}
