//! The programs are run by the kernel itself, as the filter of a socket.

use std::os::{fd::AsRawFd, unix::net::UnixDatagram};

use super::*;

const MAC: MacAddress = MacAddress([2, 0x5c, 10, 0, 3, 2]);
const OTHER_MAC: MacAddress = MacAddress([2, 0x5c, 10, 0, 3, 3]);
const BROADCAST: [u8; 6] = [0xff; 6];

fn identity() -> Identity {
    Identity {
        mac: MAC,
        v4: Ipv4Addr::new(10, 0, 3, 2),
        v6: vec![
            "fe80::5c:aff:fe00:302".parse().unwrap(),
            "fd00::2".parse().unwrap(),
        ],
    }
}

/// Whether the kernel, running `program`, lets `frame` pass. Read as a socket's filter, a program
/// returns how many bytes are to be kept: all for TC_ACT_UNSPEC (-1), two for TC_ACT_SHOT (2).
fn passes(program: &[Instruction], frame: &[u8]) -> bool {
    let filter: Vec<libc::sock_filter> = program
        .iter()
        .map(|one| libc::sock_filter {
            code: one.code,
            jt: one.jt,
            jf: one.jf,
            k: one.k,
        })
        .collect();
    let program = libc::sock_fprog {
        len: u16::try_from(filter.len()).unwrap(),
        filter: filter.as_ptr().cast_mut(),
    };
    let (sender, receiver) = UnixDatagram::pair().unwrap();
    // SAFETY: the option takes a sock_fprog, which outlives the call, and copies what it points to.
    let result = unsafe {
        libc::setsockopt(
            receiver.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_ATTACH_FILTER,
            (&raw const program).cast(),
            u32::try_from(size_of::<libc::sock_fprog>()).unwrap(),
        )
    };
    assert_eq!(result, 0, "{}", std::io::Error::last_os_error());
    receiver.set_nonblocking(true).unwrap();
    sender.send(frame).unwrap();
    let received = receiver.recv(&mut [0; 2048]).unwrap();
    match received {
        2 => false,
        all if all == frame.len() => true,
        other => panic!("the program returned {other}"),
    }
}

fn frame(source: MacAddress, ether_type: u16, payload: &[u8]) -> Vec<u8> {
    let mut frame = [BROADCAST, source.0].concat();
    frame.extend_from_slice(&ether_type.to_be_bytes());
    frame.extend_from_slice(payload);
    frame.resize(frame.len().max(128), 0);
    frame
}

fn ipv4(source: [u8; 4]) -> Vec<u8> {
    let mut packet = vec![0x45; 12];
    packet.extend_from_slice(&source);
    packet.extend_from_slice(&[10, 0, 3, 1]);
    packet
}

fn arp(mac: MacAddress, sender: [u8; 4]) -> Vec<u8> {
    let mut packet = vec![0, 1, 8, 0, 6, 4, 0, 2];
    packet.extend_from_slice(&mac.0);
    packet.extend_from_slice(&sender);
    packet
}

fn ipv6(source: &str, next_header: u8, payload: &[u8]) -> Vec<u8> {
    let mut packet = vec![0x60, 0, 0, 0, 0, 64, next_header, 255];
    packet.extend_from_slice(&source.parse::<Ipv6Addr>().unwrap().octets());
    packet.extend_from_slice(&"ff02::1".parse::<Ipv6Addr>().unwrap().octets());
    packet.extend_from_slice(payload);
    packet
}

fn neighbour(kind: u8, target: &str) -> Vec<u8> {
    let mut message = vec![kind, 0, 0, 0, 0, 0, 0, 0];
    message.extend_from_slice(&target.parse::<Ipv6Addr>().unwrap().octets());
    message
}

fn honest_passes(source: MacAddress, ether_type: u16, payload: &[u8]) -> bool {
    passes(&honest(&identity()), &frame(source, ether_type, payload))
}

#[test]
fn nothing_leaves_a_closed_container() {
    assert!(!passes(
        &closed(),
        &frame(MAC, 0x0800, &ipv4([10, 0, 3, 2]))
    ));
    assert!(!passes(
        &closed(),
        &frame(MAC, 0x0806, &arp(MAC, [10, 0, 3, 2]))
    ));
}

#[test]
fn own_ipv4_passes_and_others_do_not() {
    assert!(honest_passes(MAC, 0x0800, &ipv4([10, 0, 3, 2])));
    for spoofed in [
        [10, 0, 3, 3],
        [10, 0, 3, 1],
        [0, 0, 0, 0],
        [127, 0, 0, 1],
        [8, 8, 8, 8],
    ] {
        assert!(!honest_passes(MAC, 0x0800, &ipv4(spoofed)), "{spoofed:?}");
    }
    assert!(!honest_passes(OTHER_MAC, 0x0800, &ipv4([10, 0, 3, 2])));
}

#[test]
fn own_arp_passes_and_others_do_not() {
    assert!(honest_passes(MAC, 0x0806, &arp(MAC, [10, 0, 3, 2])));
    assert!(!honest_passes(MAC, 0x0806, &arp(MAC, [10, 0, 3, 1])));
    assert!(!honest_passes(MAC, 0x0806, &arp(OTHER_MAC, [10, 0, 3, 2])));
    let mut odd = arp(MAC, [10, 0, 3, 2]);
    odd[5] = 16;
    assert!(!honest_passes(MAC, 0x0806, &odd));
}

#[test]
fn other_protocols_do_not_pass() {
    for ether_type in [0x8100, 0x88a8, 0x888e, 0x88cc, 0x0842, 0x0026] {
        assert!(
            !honest_passes(MAC, ether_type, &ipv4([10, 0, 3, 2])),
            "{ether_type:#x}"
        );
    }
}

#[test]
fn own_ipv6_passes_and_others_do_not() {
    for next_header in [6, 17, 44, 132] {
        assert!(honest_passes(
            MAC,
            0x86dd,
            &ipv6("fd00::2", next_header, &[])
        ));
        assert!(honest_passes(
            MAC,
            0x86dd,
            &ipv6("fe80::5c:aff:fe00:302", next_header, &[])
        ));
        for spoofed in [
            "fd00::1",
            "fd00::3",
            "::",
            "fe80::1",
            "::1",
            "fd00:0:0:1::2",
            "fd00:1::2",
        ] {
            assert!(
                !honest_passes(MAC, 0x86dd, &ipv6(spoofed, next_header, &[])),
                "{spoofed}"
            );
        }
    }
}

#[test]
fn neighbour_advertisements_pass_for_own_addresses_only() {
    let advertise =
        |target| honest_passes(MAC, 0x86dd, &ipv6("fd00::2", 58, &neighbour(136, target)));
    assert!(advertise("fd00::2"));
    assert!(advertise("fe80::5c:aff:fe00:302"));
    assert!(!advertise("fd00::1"));
    assert!(!advertise("fe80::1"));
    // …nor behind a header that a filter might not look through.
    for header in [0, 43, 60] {
        let hidden = [vec![58, 0, 5, 2, 0, 0, 0, 0], neighbour(136, "fd00::1")].concat();
        assert!(
            !honest_passes(MAC, 0x86dd, &ipv6("fd00::2", header, &hidden)),
            "{header}"
        );
    }
}

#[test]
fn a_container_can_neither_be_a_router_nor_redirect() {
    for kind in [134, 137] {
        assert!(!honest_passes(
            MAC,
            0x86dd,
            &ipv6("fd00::2", 58, &neighbour(kind, "fd00::2"))
        ));
    }
}

#[test]
fn ping_solicitation_and_listener_reports_pass() {
    for kind in [128, 129, 133, 135] {
        assert!(honest_passes(
            MAC,
            0x86dd,
            &ipv6("fd00::2", 58, &neighbour(kind, "fd00::1"))
        ));
    }
    let report = [58, 0, 5, 2, 0, 0, 1, 0, 143, 0];
    assert!(honest_passes(
        MAC,
        0x86dd,
        &ipv6("fe80::5c:aff:fe00:302", 0, &report)
    ));
    assert!(honest_passes(MAC, 0x86dd, &ipv6("::", 0, &report)));
    assert!(honest_passes(
        MAC,
        0x86dd,
        &ipv6("::", 58, &neighbour(135, "fd00::2"))
    ));
    assert!(!honest_passes(
        MAC,
        0x86dd,
        &ipv6("::", 58, &neighbour(136, "fd00::2"))
    ));
    assert!(!honest_passes(MAC, 0x86dd, &ipv6("::", 17, &[])));
}

#[test]
fn a_short_frame_is_dropped_by_the_kernel_and_not_passed() {
    // Loads behind the end of a frame end a program with 0. For a socket that means "keep nothing";
    // cls_bpf takes it for TC_ACT_OK, so such a frame must carry nothing that a receiver would
    // accept.
    let whole = frame(MAC, 0x0800, &ipv4([10, 0, 3, 3]));
    for length in 34..whole.len() {
        assert!(!passes(&honest(&identity()), &whole[..length]), "{length}");
    }
}
