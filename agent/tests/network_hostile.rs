//! A hostile app, root in its container, against the network: none of what it tries works.

#![cfg(feature = "gateway-network")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod lab;
#[path = "../../network/tests/netns/mod.rs"]
mod netns;
mod support;

use lab::{HOST, Lab, OUTSIDE, OUTSIDE6, network_state};
use netns::probe::Echo;
use serde_json::json;

fn web_only() -> Lab {
    Lab::with_network(&[
        (
            "web",
            json!([{"direction": "OUTGOING", "allow": [{"host": OUTSIDE, "ports": 80, "protocols": "tcp"}]}]),
        ),
        (
            "all",
            json!([
                {"direction": "OUTGOING", "allow": [{"host": "*"}]},
                {"direction": "OUTGOING", "allow": [{"host": "10.0.0.0/8"}, {"host": "fd00:9:3::/64"}]},
                {"direction": "INCOMING", "allow": [{"host": "*"}]}
            ]),
        ),
    ])
}

/// Runs commands as the app would, each of which must fail, and checks that the container's network
/// is as before.
fn all_fail(commands: &[&str]) {
    let lab = web_only();
    let _servers = [80, 8080].map(|port| Echo::start(&lab.outside, port));
    let id = lab.container(&["web"]);
    let inside = lab.inside(id);
    let before = network_state(&inside);
    for command in commands {
        let (status, text) = lab.agent.shell(id, command);
        assert_ne!(status, 0, "{command}: {text}");
        let missing = text.contains("not found") || text.contains("No such file or directory");
        assert!(!missing, "{command} was not even tried: {text}");
        assert_eq!(network_state(&inside), before, "{command}: {text}");
    }
    assert!(lab.reaches(id, OUTSIDE, 80) && !lab.reaches(id, OUTSIDE, 8080));
}

#[test]
fn it_cannot_change_the_rules() {
    all_fail(&[
        "/usr/sbin/xtables-nft-multi iptables -F",
        "/usr/sbin/xtables-nft-multi iptables -P OUTPUT ACCEPT",
        "/usr/sbin/xtables-nft-multi ip6tables -F",
        "XTABLES_LOCKFILE=/tmp/lock /usr/sbin/xtables-legacy-multi iptables -F",
        "/usr/sbin/nft flush ruleset",
    ]);
}

/// Each datagram to another port is a connection of its own to the host's connection tracking, for
/// half a minute.
const CONNECTION_FLOOD: &str = r#"
import socket, sys
sender = socket.socket(socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET, socket.SOCK_DGRAM)
for port in range(1, 20001):
    try:
        sender.sendto(b"x", (sys.argv[1], port))
    except OSError:
        pass
print("sent")
"#;

#[test]
fn it_cannot_fill_the_hosts_table_of_connections() {
    let lab = web_only();
    let id = lab.container(&["all"]);
    let program = lab.agent.path("flood.py");
    std::fs::write(&program, CONNECTION_FLOOD).unwrap();
    lab.agent
        .client()
        .bind_mount(id, program.to_str().unwrap(), "/flood.py", true)
        .unwrap();
    let tracked = || {
        let count = lab
            .host
            .run(|| std::fs::read_to_string("/proc/thread-self/net/stat/nf_conntrack"));
        let count = count.unwrap();
        let words = count.lines().nth(1).unwrap().split_whitespace().next();
        u32::from_str_radix(words.unwrap(), 16).unwrap()
    };
    for address in [OUTSIDE, OUTSIDE6] {
        let before = tracked();
        let flood = format!("/usr/bin/python3 -I /flood.py {address}");
        assert_eq!(lab.agent.shell_ok(id, &flood), "sent");
        let added = tracked() - before;
        assert!(
            (1000..=4200).contains(&added),
            "{added} connections to {address}"
        );
    }
    // Others go on.
    let _server = Echo::start(&lab.outside, 80);
    let other = lab.container(&["web"]);
    assert!(lab.reaches(other, OUTSIDE, 80));
    lab.agent.client().destroy(id).unwrap();
    support::wait_until("they go with their container", || tracked() < 100);
}

/// A TCP connection stays in the table for two minutes after its end.
const FINISHED: &str = r#"
import socket, sys
failed = finished = 0
while failed < 20 and finished < 5000:
    try:
        socket.create_connection((sys.argv[1], 80), 0.1).close()
        finished += 1
    except TimeoutError:
        failed += 1
print("it filled" if finished == 5000 else "it was stopped")
"#;

#[test]
fn connections_that_it_has_finished_do_not_fill_it_either() {
    let lab = web_only();
    let _server = Echo::start(&lab.outside, 80);
    let id = lab.container(&["all"]);
    let program = lab.agent.path("finished.py");
    std::fs::write(&program, FINISHED).unwrap();
    lab.agent
        .client()
        .bind_mount(id, program.to_str().unwrap(), "/finished.py", true)
        .unwrap();
    let flood = format!("/usr/bin/python3 -I /finished.py {OUTSIDE}");
    assert_eq!(lab.agent.shell_ok(id, &flood), "it was stopped");
}

#[test]
fn it_cannot_change_interfaces_addresses_and_routes() {
    all_fail(&[
        "/bin/busybox ip link set eth0 down",
        "/bin/busybox ip link set eth0 address 02:00:00:00:00:01",
        "/bin/busybox ip link set eth0 promisc on",
        "/bin/busybox ip addr add 10.1.1.1/24 dev eth0",
        "/bin/busybox ip addr flush dev eth0",
        "/bin/busybox ip route add 10.1.1.0/24 dev eth0",
        "/bin/busybox ip route flush dev eth0",
        "/bin/busybox ip link add br0 type bridge",
        "echo 1 > /proc/sys/net/ipv4/ip_forward",
        "echo 1 > /proc/sys/net/ipv6/conf/eth0/accept_ra",
    ]);
}

#[test]
fn it_cannot_do_so_from_namespaces_of_its_own_either() {
    all_fail(&[
        "/usr/bin/unshare -r /usr/sbin/xtables-nft-multi iptables -F",
        "/usr/bin/nsenter -t 1 -n /bin/busybox ip addr add 10.1.1.1/24 dev eth0",
        "/usr/bin/unshare -rn /bin/busybox ip link set eth0 netns 1",
    ]);
}

#[test]
fn it_cannot_open_sockets_to_sniff_or_forge() {
    all_fail(&[
        "/usr/bin/python3 -c 'import socket; socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 3)'",
        "/usr/bin/python3 -c 'import socket; socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, 3)'",
        "/usr/bin/python3 -c 'import socket; socket.socket(socket.AF_INET, socket.SOCK_RAW, 255)'",
        "/usr/bin/python3 -c 'import socket; socket.socket(socket.AF_INET6, socket.SOCK_RAW, 58)'",
        "/usr/bin/python3 -c 'import socket; s = socket.socket(); s.setsockopt(0, 19, 1); s.bind((\"10.1.1.1\", 0))'",
        "/usr/bin/python3 -c 'import socket; s = socket.socket(); s.bind((\"10.1.1.1\", 0))'",
        "/usr/bin/python3 -c 'import socket; s = socket.socket(); s.setsockopt(1, 36, 7)'",
    ]);
}

/// As if all of the above had failed to hold: with every right inside, the host's side still stops
/// it.
#[test]
fn even_with_all_rights_in_its_namespace_it_cannot_pose_as_another() {
    let lab = web_only();
    let (villain, victim) = (lab.container(&["all"]), lab.container(&["all"]));
    let inside = lab.inside(villain);
    assert!(inside.ping(&lab.address(victim)) && inside.ping(HOST));
    for stolen in [
        lab.address(victim),
        lab.bridge_ip(),
        "203.0.113.9".to_owned(),
    ] {
        inside.ip(&format!("address add {stolen}/32 dev eth0"));
        let ping = inside.try_run(&format!("ping -c 1 -W 0.5 -I {stolen} {HOST}"));
        assert!(!ping.status.success(), "{stolen}");
        inside.ip(&format!("address del {stolen}/32 dev eth0"));
    }
    inside.ip("link set eth0 address 02:5c:00:00:00:01");
    assert!(!inside.ping(&lab.bridge_ip()));
    assert!(lab.pings(victim, &lab.bridge_ip()));
}

#[test]
fn without_the_capability_even_all_rights_do_not_help() {
    let lab = web_only();
    let id = lab.agent.create();
    let inside = lab.inside(id);
    inside.ip("link set eth0 up");
    inside.ip(&format!("address add {}/24 dev eth0", lab.address(id)));
    assert!(!inside.ping(&lab.bridge_ip()));
    assert!(
        !inside
            .try_run("ping -c 1 -W 0.5 ff02::1%eth0")
            .status
            .success()
    );
}
