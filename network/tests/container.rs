//! Containers on the bridge with real packets, between namespaces that stand for the host, two
//! containers and the outside.
//!
//! What LXC does (the veth pair) is done by hand here, so that a test may act as root of the host
//! inside a "container" and send what no app could: the host's side has to stop it alone.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod netns;
mod world;

use netns::{Namespace, probe::Echo};
use serde_json::{Value, json};
use softwarecontainer_network::rule_counts;
use world::{BRIDGE, OUTSIDE, OUTSIDE6, World};

fn outgoing(allow: &Value) -> Value {
    json!([{"direction": "OUTGOING", "allow": [allow]}])
}

fn unlimited() -> Value {
    json!([
        {"direction": "OUTGOING", "allow": [{"host": "*"}]},
        {"direction": "INCOMING", "allow": [{"host": "*"}]}
    ])
}

/// Everything, with those on the bridge by name.
fn near_too() -> Value {
    json!([
        {"direction": "OUTGOING", "allow": [{"host": "*"}, {"host": "10.9.3.0/24"}, {"host": "fd00:9:3::/64"}]},
        {"direction": "INCOMING", "allow": [{"host": "*"}]}
    ])
}

#[test]
fn before_it_is_connected_there_is_no_address_and_only_loopback() {
    let world = World::new();
    let container = world.container(0);
    let state = container.state();
    assert!(!state.contains("10.9.3"), "{state}");
    let _echo = Echo::start(&container.inside, 7000);
    assert!(container.inside.ping("127.0.0.1"));
    assert!(container.inside.tcp("127.0.0.1", 7000).is_some());
    // Even root of the host cannot get anything out of the container's namespace.
    container.inside.ip("link set eth0 up");
    container.inside.ip("address add 10.9.3.2/24 dev eth0");
    assert!(!container.inside.ping(BRIDGE));
}

#[test]
fn what_is_allowed_passes_and_nothing_else() {
    let world = World::new();
    let _servers = [80, 443, 8080].map(|port| Echo::start(&world.outside, port));
    let mut container = world.container(0);
    container
        .set(&outgoing(
            &json!({"host": "*", "ports": [80, 443], "protocols": "tcp"}),
        ))
        .unwrap();
    let seen = container.inside.tcp(OUTSIDE, 80).unwrap();
    assert_eq!(
        seen.to_string(),
        "198.51.100.1",
        "the outside sees the host's address"
    );
    let seen = container.inside.tcp(OUTSIDE6, 443).unwrap();
    assert_eq!(
        seen.to_string(),
        "2001:db8::1",
        "the outside sees the host's address"
    );
    for to in [OUTSIDE, OUTSIDE6] {
        assert_eq!(container.inside.tcp(to, 8080), None, "{to}");
        assert_eq!(container.inside.udp(to, 80), None, "{to}");
        assert!(!container.inside.ping(to), "{to}");
    }
}

#[test]
fn more_rules_add_to_the_earlier_ones_and_a_repetition_changes_nothing() {
    let world = World::new();
    let _servers = [80, 8080].map(|port| Echo::start(&world.outside, port));
    let mut container = world.container(0);
    let first = outgoing(&json!({"host": OUTSIDE, "ports": 80}));
    container.set(&first).unwrap();
    assert!(container.inside.tcp(OUTSIDE, 80).is_some());
    assert!(container.inside.udp(OUTSIDE, 80).is_some());
    assert_eq!(container.inside.tcp(OUTSIDE, 8080), None);
    let state = container.state();
    container.set(&first).unwrap();
    assert_eq!(container.state(), state);
    let both = [
        first.as_array().unwrap().clone(),
        outgoing(&json!({"host": OUTSIDE, "ports": 8080}))
            .as_array()
            .unwrap()
            .clone(),
    ]
    .concat();
    container.set(&both.into()).unwrap();
    assert!(container.inside.tcp(OUTSIDE, 80).is_some());
    assert!(container.inside.tcp(OUTSIDE, 8080).is_some());
    assert!(!container.inside.ping(OUTSIDE));
}

#[test]
fn a_change_of_rules_never_opens_a_gap_nor_cuts_a_connection() {
    let world = World::new();
    let _servers = [80, 8080].map(|port| Echo::start(&world.outside, port));
    let mut container = world.container(0);
    let allowed = |host: &str| outgoing(&json!({"host": host, "ports": 80}));
    container.set(&allowed(OUTSIDE)).unwrap();
    let stop = std::sync::atomic::AtomicBool::new(false);
    let inside = Namespace::of_same(&container.inside);
    let (good, bad) = std::thread::scope(|scope| {
        let good = scope.spawn(|| {
            let mut results = Vec::new();
            while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                results.push(inside.udp(OUTSIDE, 80).is_some());
                // Each is a connection, and a container has only so many.
                std::thread::sleep(std::time::Duration::from_millis(5));
            }
            results
        });
        let bad = scope.spawn(|| {
            let mut results = Vec::new();
            while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                results.push(inside.udp(OUTSIDE, 8080).is_some());
            }
            results
        });
        for round in 0..40 {
            let more = [
                allowed(OUTSIDE).as_array().unwrap().clone(),
                allowed(&format!("192.0.2.{round}"))
                    .as_array()
                    .unwrap()
                    .clone(),
            ];
            container.set(&more.concat().into()).unwrap();
        }
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
        (good.join().unwrap(), bad.join().unwrap())
    });
    let count = |results: &[bool]| (results.iter().filter(|ok| **ok).count(), results.len());
    let (passed, tried) = count(&good);
    assert!(
        tried > 20 && passed == tried,
        "{passed} of {tried} allowed packets passed"
    );
    let (passed, tried) = count(&bad);
    assert!(
        tried > 20 && passed == 0,
        "{passed} of {tried} forbidden packets passed"
    );
}

#[test]
fn a_server_in_the_container_is_reached_on_its_allowed_port_only() {
    let world = World::new();
    let mut container = world.container(0);
    container
        .set(&json!([{"direction": "INCOMING", "allow": [{"host": "*", "ports": 9000, "protocols": "tcp"}]}]))
        .unwrap();
    let _servers = [9000, 9001].map(|port| Echo::start(&container.inside, port));
    world.outside.ip("route add 10.9.3.0/24 via 198.51.100.1");
    world.outside.ip("route add fd00:9:3::/64 via 2001:db8::1");
    for from in [&world.outside, &world.host] {
        for address in ["10.9.3.2", "fd00:9:3::2"] {
            assert!(from.tcp(address, 9000).is_some(), "{address}");
            assert_eq!(from.tcp(address, 9001), None, "{address}");
            assert_eq!(from.udp(address, 9000), None, "{address}");
            assert!(!from.ping(address), "{address}");
        }
    }
    let _outside = Echo::start(&world.outside, 80);
    assert_eq!(
        container.inside.tcp(OUTSIDE, 80),
        None,
        "nothing goes out that nobody asked for"
    );
}

#[test]
fn ping_only() {
    let world = World::new();
    let _server = Echo::start(&world.outside, 80);
    let mut container = world.container(0);
    container
        .set(&outgoing(&json!({"host": "*", "protocols": "icmp"})))
        .unwrap();
    for to in [OUTSIDE, OUTSIDE6] {
        assert!(container.inside.ping(to), "{to}");
        assert_eq!(container.inside.tcp(to, 80), None, "{to}");
    }
    assert_eq!(
        container
            .inside
            .shell("sysctl -n net.ipv4.ping_group_range"),
        "0\t2147483647\n"
    );
}

#[test]
fn two_containers_meet_only_if_both_allow_it() {
    let world = World::new();
    let answer = json!([{"direction": "INCOMING", "allow": [{"host": "10.9.3.2", "ports": 9000}]}]);
    for (caller_allows, called_allows) in
        [(false, false), (true, false), (false, true), (true, true)]
    {
        let (mut caller, mut called) = (world.container(0), world.container(1));
        let nobody = json!([{"direction": "OUTGOING", "allow": []}]);
        let call = outgoing(&json!({"host": called.address()}));
        caller
            .set(if caller_allows { &call } else { &nobody })
            .unwrap();
        called
            .set(if called_allows { &answer } else { &nobody })
            .unwrap();
        let _server = Echo::start(&called.inside, 9000);
        let reached = caller.inside.tcp(&called.address(), 9000);
        assert_eq!(
            reached.is_some(),
            caller_allows && called_allows,
            "{caller_allows} {called_allows}"
        );
        for id in [0, 1] {
            world.host.run(|| world.network.detach(id)).unwrap();
        }
    }
}

#[test]
fn containers_that_cannot_be_called_are_kept_apart_by_the_bridge_itself() {
    let world = World::new();
    let (mut first, mut second) = (world.container(0), world.container(1));
    first.set(&outgoing(&json!({"host": "*"}))).unwrap();
    second.set(&outgoing(&json!({"host": "*"}))).unwrap();
    // As if both firewalls had been broken.
    for container in [&first, &second] {
        container.inside.shell("nft flush ruleset");
    }
    assert!(first.inside.ping(BRIDGE));
    assert!(!first.inside.ping(&second.address()));
    second.set(&unlimited()).unwrap();
    // The question that found no answer would be asked again only after a second.
    first.inside.ip("neigh flush dev eth0");
    assert!(first.inside.ping(&second.address()));
}

#[test]
fn root_in_the_namespace_cannot_pose_as_another() {
    let world = World::new();
    let (mut villain, mut victim) = (world.container(0), world.container(1));
    villain.set(&near_too()).unwrap();
    victim.set(&near_too()).unwrap();
    assert!(villain.inside.ping(&victim.address()));
    world.outside.ip("route add 10.9.3.0/24 via 198.51.100.1");

    // Another IPv4 address: the victim's, the bridge's, a stranger's.
    for stolen in [
        victim.address(),
        BRIDGE.to_owned(),
        "10.9.3.77".to_owned(),
        "203.0.113.9".to_owned(),
    ] {
        villain
            .inside
            .ip(&format!("address add {stolen}/32 dev eth0"));
        let output = villain
            .inside
            .try_run(&format!("ping -c 1 -W 0.3 -I {stolen} 198.51.100.1"));
        assert!(!output.status.success(), "{stolen}");
        villain
            .inside
            .ip(&format!("address del {stolen}/32 dev eth0"));
    }
    // Another IPv6 address.
    villain
        .inside
        .ip("address add fd00:9:3::77/64 dev eth0 nodad");
    assert!(
        !villain
            .inside
            .try_run("ping -c 1 -W 0.3 -I fd00:9:3::77 fd00:9:3::1")
            .status
            .success()
    );
    assert!(
        villain
            .inside
            .try_run("ping -c 1 -W 1 -I fd00:9:3::2 fd00:9:3::1")
            .status
            .success()
    );
    // The right address with another hardware address.
    assert!(villain.inside.ping(BRIDGE));
    villain.inside.ip("link set eth0 address 02:5c:0a:09:03:03");
    assert!(!villain.inside.ping(BRIDGE));
    assert!(victim.inside.ping(BRIDGE));
}

#[test]
fn arp_of_a_container_cannot_poison_its_neighbours() {
    let world = World::new();
    let (mut villain, mut victim) = (world.container(0), world.container(1));
    villain.set(&near_too()).unwrap();
    victim.set(&near_too()).unwrap();
    assert!(victim.inside.ping(BRIDGE));
    let gateway = || victim.inside.ip("neigh show 10.9.3.1 dev eth0");
    let before = gateway();
    assert!(before.contains("02:5c:0a:09:03:01"), "{before}");
    victim
        .inside
        .shell("sysctl -qw net.ipv4.conf.eth0.arp_accept=1");
    villain.inside.ip("address add 10.9.3.1/32 dev eth0");
    // Says "10.9.3.1 is at my hardware address", as a request and as an answer.
    let claim = r#"
import socket
s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW); s.bind(("eth0", 0x0806))
me = bytes.fromhex("025c0a090302")
for operation in (1, 2):
    s.send(b"\xff"*6 + me + b"\x08\x06" + b"\x00\x01\x08\x00\x06\x04" + bytes([0, operation]) + me + bytes([10,9,3,1]) + b"\xff"*6 + bytes([10,9,3,1]))
"#;
    let sent = villain
        .inside
        .command("python3")
        .args(["-c", claim])
        .status()
        .unwrap();
    assert!(sent.success());
    std::thread::sleep(std::time::Duration::from_millis(100));
    assert!(gateway().contains("02:5c:0a:09:03:01"), "{}", gateway());
}

#[test]
fn frames_for_others_do_not_come_along() {
    let world = World::new();
    let (mut spy, mut talker) = (world.container(0), world.container(1));
    spy.set(&near_too()).unwrap();
    talker.set(&near_too()).unwrap();
    assert!(talker.inside.ping(BRIDGE));
    spy.inside.ip("link set eth0 promisc on");
    let listen = r#"
import socket, struct, sys, time
s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3)); s.bind(("eth0", 3)); s.settimeout(0.1)
print("ready", flush=True)
end = time.time() + 1.2; seen = 0
while time.time() < end:
    try: frame = s.recv(2000)
    except TimeoutError: continue
    if b"secret-of-the-talker" in frame: seen += 1
print(seen)
"#;
    let mut child = spy
        .inside
        .command("python3")
        .args(["-c", listen])
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut output = std::io::BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    std::io::BufRead::read_line(&mut output, &mut line).unwrap();
    assert_eq!(line, "ready\n");
    let say = |to: &str| {
        talker.inside.run(|| {
            let socket = std::net::UdpSocket::bind("0.0.0.0:0").unwrap();
            socket.send_to(b"secret-of-the-talker", to).unwrap();
        });
    };
    say("10.9.3.1:5000");
    // Hardware address that is behind no port: a bridge that learns would send it everywhere.
    world
        .host
        .ip("neigh replace 10.9.3.99 lladdr 02:5c:0a:09:03:63 dev scbr0");
    talker
        .inside
        .ip("neigh replace 10.9.3.99 lladdr 02:5c:0a:09:03:63 dev eth0");
    say("10.9.3.99:5000");
    world.host.run(|| {
        let socket = std::net::UdpSocket::bind("0.0.0.0:0").unwrap();
        socket
            .send_to(b"secret-of-the-talker", "10.9.3.99:5000")
            .unwrap();
    });
    line.clear();
    std::io::BufRead::read_line(&mut output, &mut line).unwrap();
    child.wait().unwrap();
    assert_eq!(line, "0\n");
}

#[test]
fn taking_the_connection_back_closes_everything() {
    let world = World::new();
    let mut container = world.container(0);
    let before = container.inside.ip("-br address");
    container.set(&unlimited()).unwrap();
    assert!(container.inside.ping(OUTSIDE));
    container.set(&json!([])).unwrap();
    assert_eq!(container.inside.ip("-br address"), before);
    assert_eq!(container.inside.ip("route"), "");
    container.set(&unlimited()).unwrap();
    assert!(container.inside.ping(OUTSIDE));
}

#[test]
fn nothing_is_left_of_a_container_that_ended_and_its_id_is_usable_at_once() {
    let world = World::new();
    let links = || {
        let links = world.host.ip("-br link");
        let names = links.lines().filter_map(|line| line.split(' ').next());
        names.map(str::to_owned).collect::<Vec<_>>()
    };
    let before = links();
    for _ in 0..3 {
        let mut container = world.container(0);
        container.set(&unlimited()).unwrap();
        assert!(container.inside.ping(BRIDGE));
        world.host.run(|| world.network.detach(0)).unwrap();
        assert_eq!(links(), before);
    }
}

#[test]
fn everywhere_is_the_world_outside_and_little_of_the_host() {
    let world = World::new();
    let _outside = Echo::start(&world.outside, 80);
    let _host = [53, 80].map(|port| Echo::start(&world.host, port));
    let (mut container, mut neighbour) = (world.container(0), world.container(1));
    container.set(&unlimited()).unwrap();
    neighbour.set(&unlimited()).unwrap();
    let _neighbour = Echo::start(&neighbour.inside, 80);
    for to in [OUTSIDE, OUTSIDE6] {
        assert!(container.inside.tcp(to, 80).is_some(), "{to}");
    }
    // Each address of the host: the bridge's, an uplink's, link-local ones.
    let link_local = "fe80::5c:aff:fe09:301";
    for host in [BRIDGE, "fd00:9:3::1", "198.51.100.1", "2001:db8::1"] {
        assert!(container.inside.ping(host), "{host}");
        assert!(container.inside.tcp(host, 53).is_some(), "{host}");
        assert!(container.inside.udp(host, 53).is_some(), "{host}");
        assert_eq!(container.inside.tcp(host, 80), None, "{host}");
        assert_eq!(container.inside.udp(host, 80), None, "{host}");
    }
    let on_link = |address: &str| format!("{address}%eth0");
    assert!(container.inside.ping(&on_link(link_local)));
    let connects = |address: &str, port: u16| {
        let line = format!("nc.openbsd -z -w 1 {address} {port}");
        container.inside.try_run(&line).status.success()
    };
    assert!(connects(&on_link(link_local), 53));
    assert!(!connects(&on_link(link_local), 80));
    for near in [neighbour.address().as_str(), "fd00:9:3::3"] {
        assert_eq!(container.inside.tcp(near, 80), None, "{near}");
        assert!(!container.inside.ping(near), "{near}");
    }

    // As if the container's own firewall had been broken.
    for family in ["ip", "ip6"] {
        let insert = format!("nft insert rule {family} softwarecontainer OUTPUT accept");
        container.inside.shell(&insert);
    }
    for host in [BRIDGE, "fd00:9:3::1", "198.51.100.1", "2001:db8::1"] {
        assert_eq!(container.inside.tcp(host, 80), None, "{host}");
        assert!(container.inside.tcp(host, 53).is_some(), "{host}");
    }
    assert!(!connects(&on_link(link_local), 80));
}

#[test]
fn the_host_and_neighbours_are_reached_by_name() {
    let world = World::new();
    let _host = [80, 81].map(|port| Echo::start(&world.host, port));
    let (mut container, mut neighbour) = (world.container(0), world.container(1));
    neighbour.set(&unlimited()).unwrap();
    let _neighbour = Echo::start(&neighbour.inside, 80);
    let allow = json!([
        {"host": "gateway", "ports": 80},
        {"host": "198.51.100.0/24", "ports": 81},
        {"host": neighbour.address(), "ports": 80}
    ]);
    let config = json!([{"direction": "OUTGOING", "allow": allow}]);
    container.set(&config).unwrap();
    let reached =
        |address: &str| [80, 81].map(|port| container.inside.tcp(address, port).is_some());
    assert_eq!(reached(BRIDGE), [true, false]);
    assert_eq!(reached("198.51.100.1"), [false, true]);
    assert_eq!(reached(&neighbour.address()), [true, false]);
}

#[test]
fn what_is_not_allowed_fails_at_once() {
    let world = World::new();
    let mut container = world.container(0);
    container
        .set(&outgoing(&json!({"host": OUTSIDE, "ports": 80})))
        .unwrap();
    for to in ["198.51.100.2:81", "[2001:db8::2]:80", "10.9.3.1:80"] {
        let error = container.inside.run(|| {
            std::net::TcpStream::connect(to.parse::<std::net::SocketAddr>().unwrap()).unwrap_err()
        });
        assert_eq!(error.kind(), std::io::ErrorKind::ConnectionRefused, "{to}");
    }
    let ping = container
        .inside
        .try_run(&format!("ping -c 1 -W 5 {BRIDGE}"));
    let text = String::from_utf8_lossy(&ping.stdout).into_owned();
    assert!(text.contains("Packet filtered"), "{text}");
}

#[test]
fn how_fast_connections_are_begun_is_bounded() {
    let world = World::new();
    let mut container = world.container(0);
    container.set(&unlimited()).unwrap();
    world.outside.ip("route add 10.9.3.0/24 via 198.51.100.1");
    let flood = r#"
import socket
for port in range(1, 20001):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    try: s.sendto(b"x", ("198.51.100.2", port))
    except OSError: pass
    s.close()
"#;
    let mut command = container.inside.command("python3");
    assert!(command.args(["-c", flood]).status().unwrap().success());
    let rules = rule_counts(&world.network, container.inside.fd()).unwrap();
    let dropped = rules
        .iter()
        .find(|one| one.chain == "SC-BEGIN" && one.rule == "connection-rate");
    assert!(dropped.is_some_and(|one| one.packets > 10_000), "{rules:?}");
}

#[test]
fn the_host_forgets_the_connections_of_a_container_that_ended() {
    let world = World::new();
    world.outside.ip("route add 10.9.3.0/24 via 198.51.100.1");
    world.outside.ip("route add fd00:9:3::/64 via 2001:db8::1");
    let _server = Echo::start(&world.outside, 7000);
    let entries = || {
        let count = world
            .host
            .shell("cat /proc/sys/net/netfilter/nf_conntrack_count");
        count.trim().parse::<u32>().unwrap()
    };
    let mut other = world.container(1);
    other.set(&unlimited()).unwrap();
    assert!(other.inside.tcp(OUTSIDE, 7000).is_some());
    let others = entries();
    assert!(others > 0, "the host has no table of connections");

    let mut container = world.container(0);
    container.set(&unlimited()).unwrap();
    let _answers = Echo::start(&container.inside, 7001);
    for to in [OUTSIDE, OUTSIDE6] {
        assert!(container.inside.tcp(to, 7000).is_some());
        assert!(container.inside.udp(to, 7000).is_some());
        assert!(container.inside.ping(to));
    }
    assert!(world.outside.tcp(&container.address(), 7001).is_some());
    assert!(container.inside.ping(BRIDGE));
    // The host may have another one or two of its own meanwhile.
    let before = entries();
    assert!(before >= others + 8, "{before}");
    world.host.run(|| world.network.detach(0)).unwrap();
    // Its successor waits for that.
    let mut successor = world.container(0);
    successor.set(&unlimited()).unwrap();
    assert!((others..=before - 6).contains(&entries()), "{}", entries());
}

#[test]
fn a_container_cannot_answer_as_a_dhcp_server() {
    let world = World::new();
    let [mut server, mut client] = [0, 1].map(|id| world.container(id));
    for container in [&mut server, &mut client] {
        container.set(&near_too()).unwrap();
    }
    let _listens = Echo::start(&client.inside, 68);
    let answers = |from: u16| {
        let program = format!(
            "import socket\ns = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n\
             s.bind(('', {from}))\ns.settimeout(5)\n\
             s.sendto(b'offer', ('{}', 68))\nprint(s.recv(99).decode())",
            client.address()
        );
        let mut command = server.inside.command("python3");
        command.args(["-c", &program]).output().unwrap()
    };
    let refused = answers(67);
    let why = String::from_utf8_lossy(&refused.stderr);
    assert!(why.contains("Operation not permitted"), "{why}");
    let passes = answers(1067);
    assert_eq!(
        String::from_utf8_lossy(&passes.stdout).trim(),
        server.address()
    );
}

/// Lets the kernel's log tell of packets in all network namespaces, as an administrator would.
struct LogOfAllNamespaces(String);

impl LogOfAllNamespaces {
    const FILE: &str = "/proc/sys/net/netfilter/nf_log_all_netns";

    fn on() -> Self {
        let before = std::fs::read_to_string(Self::FILE).unwrap();
        std::fs::write(Self::FILE, "1").unwrap();
        Self(before)
    }
}

impl Drop for LogOfAllNamespaces {
    fn drop(&mut self) {
        std::fs::write(Self::FILE, &self.0).unwrap();
    }
}

#[test]
fn the_kernels_log_tells_what_was_refused_and_dropped() {
    const ELSEWHERE: &str = "198.51.100.77";
    let _log = LogOfAllNamespaces::on();
    let world = World::new();
    world.outside.ip("route add 10.9.3.0/24 via 198.51.100.1");
    let mut container = world.container(41);
    container
        .set(&outgoing(&json!({"host": OUTSIDE, "ports": 80})))
        .unwrap();
    let lines = |with: &[&str]| {
        let log = world.host.shell("dmesg");
        let found = log
            .lines()
            .filter(|line| with.iter().all(|one| line.contains(one)));
        found.map(str::to_owned).collect::<Vec<_>>()
    };
    for _ in 0..50 {
        assert_eq!(container.inside.tcp(ELSEWHERE, 4741), None);
    }
    assert_eq!(world.outside.tcp(&container.address(), 4742), None);
    let refused = lines(&["SC-41 OUTGOING: ", "PROTO=TCP", "DPT=4741", ELSEWHERE]);
    assert!((1..40).contains(&refused.len()), "{refused:?}");
    let dropped = lines(&[
        "SC-41 INCOMING: ",
        "PROTO=TCP",
        "DPT=4742",
        &container.address(),
    ]);
    assert!(!dropped.is_empty(), "nothing of what was dropped");
}

#[test]
fn each_rule_counts_what_it_let_pass() {
    let world = World::new();
    let _servers = [80, 81].map(|port| Echo::start(&world.outside, port));
    let mut container = world.container(0);
    container
        .set(&outgoing(
            &json!({"host": "*", "ports": [80, 81], "protocols": "tcp"}),
        ))
        .unwrap();
    for _ in 0..3 {
        assert!(container.inside.tcp(OUTSIDE, 80).is_some());
    }
    assert_eq!(container.inside.tcp(OUTSIDE, 82), None);
    let counts = rule_counts(&world.network, container.inside.fd()).unwrap();
    let packets = |rule: &str| {
        let counts = counts.iter().filter(|one| one.rule == rule);
        counts.map(|one| one.packets).sum::<u64>()
    };
    assert_eq!(packets("OUTGOING * tcp 80"), 3, "{counts:?}");
    assert_eq!(packets("OUTGOING * tcp 81"), 0, "{counts:?}");
    let refused = counts
        .iter()
        .find(|one| one.chain == "SC-REFUSE" && one.packets > 0);
    assert!(refused.is_some_and(|one| one.bytes >= 40), "{counts:?}");
}
