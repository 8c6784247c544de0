//! ping in a container, and what else its raw sockets would be good for.

#![cfg(feature = "gateway-network")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod lab;
#[path = "../../network/tests/netns/mod.rs"]
mod netns;
mod support;

use lab::{Lab, OUTSIDE, OUTSIDE6, manifest};
use serde_json::json;
use support::Setup;

fn lab() -> Lab {
    let outgoing = |rule| json!([{"direction": "OUTGOING", "allow": [rule]}]);
    let icmp = outgoing(json!({"host": "*", "protocols": "icmp"}));
    let tcp = outgoing(json!({"host": "*", "protocols": "tcp"}));
    let gateways: [(&str, &[_]); 3] = [
        ("icmp", &[("network", icmp.clone())]),
        ("tcp", &[("network", tcp)]),
        #[cfg(feature = "gateway-privileges")]
        (
            "io_uring",
            &[
                ("network", icmp),
                (
                    "privileges",
                    json!([{"allow-syscalls": ["io_uring_setup"]}]),
                ),
            ],
        ),
        #[cfg(not(feature = "gateway-privileges"))]
        ("io_uring", &[("network", tcp)]),
    ];
    Lab::with(Setup::manifest(&manifest(&gateways)))
}

/// Makes a raw socket: family, protocol, and what is done with it as `s`.
fn raw(family: &str, protocol: u32, then: &str) -> String {
    format!(
        "/usr/bin/python3 -c 'import socket; s = socket.socket(socket.{family}, socket.SOCK_RAW, {protocol}); {then}' 2>&1"
    )
}

#[test]
fn busybox_pings_where_a_rule_allows_icmp() {
    let lab = lab();
    let id = lab.container(&["icmp"]);
    for (ping, to) in [("ping", OUTSIDE), ("ping6", OUTSIDE6)] {
        let command = format!("busybox {ping} -c1 -W5 {to} 2>&1");
        let (status, text) = lab.agent.shell(id, &command);
        assert_eq!(status, 0, "{text}");
        assert!(text.contains("1 packets received"), "{text}");
    }
    let without = lab.container(&["tcp"]);
    let (_, text) = lab
        .agent
        .shell(without, &format!("busybox ping -c1 -W5 {OUTSIDE} 2>&1"));
    assert!(text.contains("permission denied"), "{text}");
    for protocol in [1, 58, 255] {
        let (status, text) = lab.agent.shell(without, &raw("AF_INET", protocol, ""));
        assert_ne!(status, 0, "{text}");
        assert!(text.contains("Operation not permitted"), "{text}");
    }
}

#[test]
fn raw_sockets_are_for_icmp_and_nothing_else() {
    let lab = lab();
    let id = lab.container(&["icmp"]);
    let system_call = |family: u64, kind: u32, protocol: u64| {
        format!(
            "/usr/bin/python3 -c 'import ctypes, os; c = ctypes.CDLL(None, use_errno=True); \
             r = c.syscall(ctypes.c_long({}), ctypes.c_long({family}), ctypes.c_long({kind}), ctypes.c_long({protocol})); \
             print(os.strerror(ctypes.get_errno())); exit(r < 0)' 2>&1",
            libc::SYS_socket
        )
    };
    let high = 1 << 32;
    let attempts = [
        raw("AF_PACKET", 3, ""),
        raw("AF_INET", 6, ""),
        raw("AF_INET", 17, ""),
        raw("AF_INET", 58, ""),
        raw("AF_INET", 255, ""),
        raw("AF_INET6", 1, ""),
        raw("AF_INET6", 6, ""),
        raw("AF_INET6", 255, ""),
        // Headers of its own: any protocol, any source.
        raw("AF_INET", 1, "s.setsockopt(0, 3, 1)"),
        raw("AF_INET6", 58, "s.setsockopt(41, 36, 1)"),
        raw("AF_INET6", 58, "s.setsockopt(58, 36, 1)"),
        raw("AF_INET6", 58, "s.setsockopt(255, 36, 1)"),
        // Addresses of others, and marks.
        raw("AF_INET", 1, "s.setsockopt(0, 19, 1)"),
        raw("AF_INET6", 58, "s.setsockopt(41, 75, 1)"),
        raw("AF_INET", 1, "s.setsockopt(1, 36, 7)"),
        // The kernel does not see the upper half of an int.
        system_call(high + 17, 3, 3),
        system_call(high + 2, 3, 6),
        system_call(2, 3, high + 1),
        system_call(2, 10, 3),
        system_call(2, 3 | libc::SOCK_CLOEXEC.cast_unsigned(), 6),
    ];
    for attempt in attempts {
        let (status, text) = lab.agent.shell(id, &attempt);
        assert_ne!(status, 0, "{attempt}: {text}");
        let refused = ["not permitted", "not supported"];
        assert!(
            refused.iter().any(|why| text.contains(why)),
            "{attempt}: {text}"
        );
    }
    // What they are for works, so that the refusals above are none of other causes.
    for (family, protocol) in [("AF_INET", 1), ("AF_INET6", 58)] {
        let (status, text) = lab.agent.shell(id, &raw(family, protocol, ""));
        assert_eq!(status, 0, "{text}");
    }
}

#[cfg(feature = "gateway-privileges")]
#[test]
fn where_sockets_can_be_made_past_the_filter_there_are_no_raw_ones() {
    let lab = lab();
    let id = lab.container(&["io_uring"]);
    let (status, text) = lab.agent.shell(id, &raw("AF_INET", 1, ""));
    assert_ne!(status, 0);
    assert!(text.contains("Operation not permitted"), "{text}");
    let capabilities = lab.agent.shell_ok(id, "grep CapBnd /proc/self/status");
    let set = u64::from_str_radix(capabilities.split_whitespace().last().unwrap(), 16).unwrap();
    assert_eq!(set & 1 << 13, 0, "{capabilities}");
}
