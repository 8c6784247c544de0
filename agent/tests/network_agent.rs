//! Containers on the network: real packets, through a real agent.

#![cfg(feature = "gateway-network")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod lab;
#[path = "../../network/tests/netns/mod.rs"]
mod netns;
mod support;

use std::{
    fs,
    io::{Read as _, Write as _},
    net::{Shutdown, TcpListener, TcpStream},
    time::Duration,
};

use lab::{BRIDGE6, HOST, HOST6, Lab, OUTSIDE, OUTSIDE6, network_state};
use netns::{Namespace, probe::Echo};
use serde_json::{Value, json};
use support::{Setup, TestAgent, wait_until};

fn outgoing(allow: &Value) -> Value {
    json!([{"direction": "OUTGOING", "allow": [allow]}])
}

fn incoming(allow: &Value) -> Value {
    json!([{"direction": "INCOMING", "allow": [allow]}])
}

fn unlimited() -> Value {
    json!([
        {"direction": "OUTGOING", "allow": [{"host": "*"}]},
        {"direction": "INCOMING", "allow": [{"host": "*"}]}
    ])
}

#[test]
fn a_container_without_the_capability_has_no_address_and_reaches_nothing() {
    let lab = Lab::with_network(&[("all", unlimited())]);
    let _servers = [Echo::start(&lab.outside, 80), Echo::start(&lab.host, 80)];
    let id = lab.agent.create();
    let addresses = lab
        .agent
        .shell_ok(id, "ip -4 addr show dev eth0; ip -6 addr show dev eth0");
    assert!(!addresses.contains("inet"), "{addresses}");
    assert!(!addresses.contains(",UP"), "{addresses}");
    for to in [OUTSIDE, HOST, &lab.bridge_ip(), OUTSIDE6] {
        assert!(!lab.reaches(id, to, 80), "{to}");
        assert!(!lab.pings(id, to), "{to}");
    }
    assert!(lab.pings(id, "127.0.0.1"), "loopback is free");
}

#[test]
fn unlimited_means_everything_both_ways() {
    let lab = Lab::with_network(&[("all", unlimited())]);
    let id = lab.container(&["all"]);
    let _servers = [80, 8080].map(|port| Echo::start(&lab.outside, port));
    for to in [OUTSIDE, OUTSIDE6] {
        assert!(
            lab.reaches(id, to, 80) && lab.reaches(id, to, 8080) && lab.pings(id, to),
            "{to}"
        );
    }
    lab.route_to_containers();
    lab.serve_hello(id, 9000);
    for address in [lab.address(id), lab.address6(id)] {
        assert!(
            lab.outside
                .shell(&format!("nc -w 2 -d {address} 9000"))
                .contains("hello"),
            "{address}"
        );
        assert!(lab.outside.ping(&address), "{address}");
    }
}

#[test]
fn a_browser_gets_pages_and_nothing_else() {
    let browser = json!([{"direction": "OUTGOING", "allow": [
        {"host": "*", "ports": [80, 443], "protocols": "tcp"},
        {"host": "*", "ports": 53, "protocols": ["udp", "tcp"]}
    ]}]);
    let lab = Lab::with_network(&[("browser", browser)]);
    let pages = tempfile::tempdir().unwrap();
    fs::write(pages.path().join("index.html"), "<p>the page</p>").unwrap();
    let directory = pages.path().to_str().unwrap();
    let _http = [80, 8080].map(|port| {
        let port = port.to_string();
        lab.outside.serve(
            "python3",
            &[
                "-m",
                "http.server",
                "--bind",
                "::",
                "--directory",
                directory,
                &port,
            ],
        )
    });
    let _dns = lab.outside.serve(
        "dnsmasq",
        &[
            "--keep-in-foreground",
            "--conf-file=/dev/null",
            "--no-resolv",
            "--no-hosts",
            "--pid-file=",
            "--user=root",
            "--address=/www.example.test/198.51.100.2",
            "--address=/www.example.test/2001:db8::2",
        ],
    );
    support::wait_until("the servers listen", || {
        let listening = lab.outside.shell("ss -lntu");
        [":80 ", ":8080 ", ":53 "]
            .iter()
            .all(|port| listening.contains(port))
    });
    let id = lab.container(&["browser"]);
    let resolver = lab.agent.path("resolv.conf");
    fs::write(&resolver, format!("nameserver {OUTSIDE}\n")).unwrap();
    let client = lab.agent.client();
    client
        .bind_mount(id, resolver.to_str().unwrap(), "/etc/resolv.conf", true)
        .unwrap();

    for family in ["-4", "-6"] {
        let page = lab.agent.shell_ok(
            id,
            &format!("/usr/bin/curl -s -m 5 {family} http://www.example.test/"),
        );
        assert_eq!(page, "<p>the page</p>");
        let other = format!("/usr/bin/curl -s -m 1 {family} http://www.example.test:8080/");
        let (status, text) = lab.agent.shell(id, &other);
        assert_eq!(
            status >> 8,
            7,
            "curl's status for a refused connection: {text}"
        );
    }
    assert!(!lab.pings(id, OUTSIDE));
    lab.route_to_containers();
    lab.serve_hello(id, 9000);
    assert!(
        !lab.outside
            .try_run(&format!("nc -z -w 1 {} 9000", lab.address(id)))
            .status
            .success()
    );
}

#[test]
fn ping_only_pings_and_does_nothing_else() {
    let lab = Lab::with_network(&[("ping", outgoing(&json!({"host": "*", "protocols": "icmp"})))]);
    let _server = Echo::start(&lab.outside, 80);
    let id = lab.container(&["ping"]);
    for to in [OUTSIDE, OUTSIDE6, HOST, BRIDGE6] {
        assert!(lab.pings(id, to), "{to}");
        assert!(!lab.reaches(id, to, 80), "{to}");
    }
    assert!(!lab.outside.ping(&lab.address(id)));
}

/// As on a system whose iptables is installed without that extension, or whose kernel lacks it.
#[test]
fn where_connections_cannot_be_counted_the_gateway_works_and_says_so() {
    let extensions = tempfile::TempDir::new().unwrap();
    let installed = "/usr/lib/x86_64-linux-gnu/xtables /usr/lib/aarch64-linux-gnu/xtables";
    let directory = installed
        .split(' ')
        .find(|path| fs::exists(path).unwrap())
        .unwrap();
    for entry in fs::read_dir(directory).unwrap() {
        let entry = entry.unwrap();
        if entry.file_name() != "libxt_connlimit.so" {
            let link = extensions.path().join(entry.file_name());
            std::os::unix::fs::symlink(entry.path(), link).unwrap();
        }
    }
    let web = outgoing(&json!({"host": OUTSIDE, "ports": 80, "protocols": "tcp"}));
    let lab = Lab::with(Setup {
        config: "firewall = iptables\n".to_owned(),
        environment: vec![(
            "XTABLES_LIBDIR".to_owned(),
            extensions.path().to_str().unwrap().to_owned(),
        )],
        ..Setup::manifest(&lab::manifest(&[("web", &[("network", web)])]))
    });
    let _servers = [80, 8080].map(|port| Echo::start(&lab.outside, port));
    let id = lab.container(&["web"]);
    assert!(lab.reaches(id, OUTSIDE, 80) && !lab.reaches(id, OUTSIDE, 8080));
    let log = lab.agent.log();
    assert!(log.contains("CONFIG_NETFILTER_XT_MATCH_CONNLIMIT"), "{log}");
}

#[test]
fn localhost_only_reaches_itself_and_nothing_else() {
    let rules = json!([{"direction": "OUTGOING", "allow": [{"host": "127.0.0.1"}]}]);
    let lab = Lab::with_network(&[("localhost", rules)]);
    let _server = Echo::start(&lab.outside, 80);
    let id = lab.container(&["localhost"]);
    lab.serve_hello(id, 9000);
    assert!(lab.reaches(id, "127.0.0.1", 9000) && lab.reaches(id, "::1", 9000));
    assert!(lab.reaches(id, &lab.address(id), 9000), "its own address");
    for to in [OUTSIDE, OUTSIDE6, HOST, HOST6, &lab.bridge_ip()] {
        assert!(!lab.reaches(id, to, 80) && !lab.pings(id, to), "{to}");
    }
}

#[test]
fn a_server_in_a_container_is_reached_on_its_allowed_port_only() {
    let lab = Lab::with_network(&[(
        "server",
        incoming(&json!({"host": "*", "ports": 9000, "protocols": "tcp"})),
    )]);
    let id = lab.container(&["server"]);
    lab.route_to_containers();
    lab.serve_hello(id, 9000);
    lab.serve_hello(id, 9001);
    for address in [lab.address(id), lab.address6(id)] {
        for from in [&lab.outside, &lab.host] {
            assert!(
                from.shell(&format!("nc -w 2 -d {address} 9000"))
                    .contains("hello"),
                "{address}"
            );
            assert!(
                !from
                    .try_run(&format!("nc -z -w 1 {address} 9001"))
                    .status
                    .success(),
                "{address}"
            );
            assert!(!from.ping(&address), "{address}");
        }
    }
}

#[test]
fn two_containers_meet_only_if_both_allow_it() {
    let lab = Lab::with_network(&[
        (
            "call",
            json!([{"direction": "OUTGOING", "allow": [
                {"host": "10.0.0.0/8", "ports": 9000, "protocols": "tcp"},
                {"host": "fd00:9:3::/64", "ports": 9000, "protocols": "tcp"}
            ]}]),
        ),
        (
            "anywhere",
            outgoing(&json!({"host": "*", "ports": 9000, "protocols": "tcp"})),
        ),
        (
            "answer",
            incoming(&json!({"host": "*", "ports": 9000, "protocols": "tcp"})),
        ),
        ("nothing", json!([{"direction": "OUTGOING", "allow": []}])),
    ]);
    for (first, second) in [
        ("call", "answer"),
        ("call", "nothing"),
        ("anywhere", "answer"),
        ("nothing", "answer"),
        ("call", "call"),
    ] {
        let (caller, called) = (lab.container(&[first]), lab.container(&[second]));
        lab.serve_hello(called, 9000);
        for address in [lab.address(called), lab.address6(called)] {
            let met = lab.reaches(caller, &address, 9000);
            assert_eq!(
                met,
                (first, second) == ("call", "answer"),
                "{first}, {second}, {address}"
            );
        }
        for id in [caller, called] {
            lab.agent.client().destroy(id).unwrap();
        }
    }
}

#[test]
fn the_outside_sees_the_address_of_the_host() {
    let lab = Lab::with_network(&[("all", unlimited())]);
    let id = lab.container(&["all"]);
    let _server = Echo::start(&lab.outside, 80);
    for (to, host) in [(OUTSIDE, HOST), (OUTSIDE6, HOST6)] {
        assert_eq!(
            lab.agent
                .shell_ok(id, &format!("/usr/bin/nc.openbsd -w 2 -d {to} 80")),
            host
        );
    }
}

#[test]
fn capabilities_that_are_set_later_add_up() {
    let lab = Lab::with_network(&[
        ("http", outgoing(&json!({"host": OUTSIDE, "ports": 80}))),
        ("alt", outgoing(&json!({"host": OUTSIDE, "ports": 8080}))),
    ]);
    let _servers = [80, 8080].map(|port| Echo::start(&lab.outside, port));
    let id = lab.container(&["http"]);
    assert!(lab.reaches(id, OUTSIDE, 80) && !lab.reaches(id, OUTSIDE, 8080));
    lab.agent.client().set_capabilities(id, &["alt"]).unwrap();
    assert!(lab.reaches(id, OUTSIDE, 80) && lab.reaches(id, OUTSIDE, 8080));
    let before = network_state(&lab.inside(id));
    lab.agent
        .client()
        .set_capabilities(id, &["alt", "http"])
        .unwrap();
    assert_eq!(network_state(&lab.inside(id)), before);
}

#[test]
fn a_malformed_configuration_is_refused_by_name_and_changes_nothing() {
    let bad = [
        (
            "bad.direction",
            json!([{"direction": "SIDEWAYS", "allow": []}]),
            "direction",
        ),
        ("bad.no-direction", json!([{"allow": []}]), "direction"),
        (
            "bad.allow",
            json!([{"direction": "OUTGOING", "allow": "*"}]),
            "allow",
        ),
        ("bad.no-allow", json!([{"direction": "OUTGOING"}]), "allow"),
        ("bad.host", outgoing(&json!({"host": "300.1.1.1"})), "host"),
        ("bad.no-host", outgoing(&json!({"ports": 80})), "host"),
        (
            "bad.ports",
            outgoing(&json!({"host": "*", "ports": 70000})),
            "ports",
        ),
        (
            "bad.range",
            outgoing(&json!({"host": "*", "ports": "90-80"})),
            "ports",
        ),
        (
            "bad.protocols",
            outgoing(&json!({"host": "*", "protocols": "carrier-pigeon"})),
            "protocols",
        ),
        ("bad.empty", json!([]), "config"),
    ];
    let mut capabilities = vec![("good", outgoing(&json!({"host": OUTSIDE, "ports": 80})))];
    capabilities.extend(bad.iter().map(|(name, config, _)| (*name, config.clone())));
    let lab = Lab::with_network(&capabilities);
    let _server = Echo::start(&lab.outside, 80);
    let fresh = lab.agent.create();
    let id = lab.container(&["good"]);
    let before = (
        network_state(&lab.inside(id)),
        network_state(&lab.inside(fresh)),
        lab.host_state(),
    );
    for (name, _, key) in &bad {
        for id in [id, fresh] {
            let (_, text) = lab
                .agent
                .client()
                .set_capabilities(id, &["good", name])
                .unwrap_err();
            assert!(
                text.contains(key) && text.contains("network"),
                "{name}: {text}"
            );
        }
        let after = (
            network_state(&lab.inside(id)),
            network_state(&lab.inside(fresh)),
            lab.host_state(),
        );
        assert_eq!(after, before, "{name}");
    }
    assert!(lab.reaches(id, OUTSIDE, 80));
    assert!(!lab.reaches(fresh, OUTSIDE, 80));
}

#[test]
fn a_gateway_that_fails_later_takes_the_network_back() {
    let setup = Setup::manifest(&lab::manifest(&[(
        "both",
        &[
            ("network", unlimited()),
            (
                "cgroups",
                json!([{"setting": "pids.no_such_setting", "value": "1"}]),
            ),
        ],
    )]));
    let lab = Lab::with(setup);
    let id = lab.agent.create();
    let look = "ip -4 addr; ip -6 addr; ip route";
    let before = lab.agent.shell_ok(id, look);
    let (_, text) = lab
        .agent
        .client()
        .set_capabilities(id, &["both"])
        .unwrap_err();
    assert!(text.contains("pids.no_such_setting"), "{text}");
    assert_eq!(lab.agent.shell_ok(id, look), before);
    assert!(!lab.pings(id, &lab.bridge_ip()));
}

/// A switch of the whole machine, set back at the end.
struct LogOfAllNamespaces(String);

impl LogOfAllNamespaces {
    const FILE: &str = "/proc/sys/net/netfilter/nf_log_all_netns";

    fn off() -> Self {
        let before = std::fs::read_to_string(Self::FILE).unwrap();
        std::fs::write(Self::FILE, "0").unwrap();
        Self(before)
    }
}

impl Drop for LogOfAllNamespaces {
    fn drop(&mut self) {
        std::fs::write(Self::FILE, &self.0).unwrap();
    }
}

#[test]
fn the_kernels_log_tells_what_was_refused_if_that_is_configured_and_the_agent_if_it_does_not() {
    const PORT: u16 = 47_433;
    let rules =
        json!([{"direction": "OUTGOING", "allow": [{"host": "198.51.100.2", "ports": 80}]}]);
    let manifest = lab::manifest(&[("web", &[("network", rules)])]);
    let _switch = LogOfAllNamespaces::off();
    let silent = TestAgent::with(&Setup::manifest(&manifest));
    wait_until("it is said that nothing is told", || {
        silent.log().contains("net.netfilter.nf_log_all_netns is 0")
    });
    drop(silent);
    let mut setup = Setup::manifest(&manifest);
    setup.config = "log-refused = true\n".to_owned();
    let agent = TestAgent::with(&setup);
    let id = agent.create();
    agent.client().set_capabilities(id, &["web"]).unwrap();
    let refused = format!("/usr/bin/nc.openbsd -z -w 1 198.51.100.77 {PORT}");
    assert_ne!(agent.shell(id, &refused).0, 0);
    let told = || {
        let log = std::process::Command::new("dmesg").output().unwrap().stdout;
        let log = String::from_utf8_lossy(&log).into_owned();
        let prefix = format!("SC-{id} OUTGOING: ");
        let port = format!("DPT={PORT} ");
        log.lines()
            .any(|line| line.contains(&prefix) && line.contains(&port))
    };
    wait_until("the kernel's log tells it", told);
    let refused = format!("gateway network: refused outgoing tcp to 198.51.100.77 port {PORT}");
    wait_until("the agent tells it", || agent.log().contains(&refused));
    assert!(!agent.log().contains("nf_log_all_netns is 0"));
}

/// Sends and fetches more than fits in one packet, and tells how much came back.
fn exchanged(lab: &Lab, id: i32, to: &str) -> usize {
    let send = || {
        let mut stream = TcpStream::connect((to, 80)).unwrap();
        let limit = Duration::from_secs(20);
        stream.set_read_timeout(Some(limit)).unwrap();
        stream.set_write_timeout(Some(limit)).unwrap();
        stream.write_all(&[b'x'; 100_000]).unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        let mut all = Vec::new();
        stream.read_to_end(&mut all).map_or(0, |_| all.len())
    };
    lab.inside(id).run(send)
}

/// A server on port 80 that sends back all that came.
fn mirror(at: &Namespace) {
    let listener = at.run(|| TcpListener::bind("[::]:80").unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut all = Vec::new();
            if stream.read_to_end(&mut all).is_ok() {
                let _ = stream.write_all(&all);
            }
        }
    });
}

#[test]
fn what_fits_an_apps_interface_and_not_the_uplink_gets_through_all_the_same() {
    let lab = Lab::with_network(&[("web", unlimited())]);
    let id = lab.container(&["web"]);
    // A tunnel or a mobile network; the app's own interface has the usual size.
    lab.host.ip("link set wan0 mtu 1300");
    mirror(&lab.outside);
    for to in [OUTSIDE, OUTSIDE6] {
        assert_eq!(exchanged(&lab, id, to), 100_000, "{to}");
    }
}

#[test]
fn an_uplink_with_ipv6_alone_is_enough() {
    let lab = Lab::with_network(&[("web", unlimited())]);
    lab.host.ip("-4 address flush dev wan0");
    let id = lab.container(&["web"]);
    mirror(&lab.outside);
    assert_eq!(exchanged(&lab, id, OUTSIDE6), 100_000);
    assert!(!lab.reaches(id, OUTSIDE, 80));
}

#[test]
fn a_way_out_in_another_routing_table_is_taken() {
    const ELSEWHERE: &str = "203.0.113.7";
    let lab = Lab::with_network(&[("web", unlimited())]);
    let id = lab.container(&["web"]);
    mirror(&lab.outside);
    lab.outside
        .ip(&format!("address add {ELSEWHERE}/32 dev lo"));
    assert!(!lab.reaches(id, ELSEWHERE, 80));
    // As wg-quick does it: a rule with a table of its own, for what no other route leads to.
    lab.host
        .ip(&format!("route add default via {OUTSIDE} table 51820"));
    lab.host.ip("rule add not fwmark 51820 table 51820");
    lab.host.ip("rule add table main suppress_prefixlength 0");
    assert_eq!(exchanged(&lab, id, ELSEWHERE), 100_000);
    lab.host.ip("rule del not fwmark 51820 table 51820");
    assert!(!lab.reaches(id, ELSEWHERE, 80));
    assert_eq!(exchanged(&lab, id, OUTSIDE), 100_000);
}

#[test]
fn beside_docker_containers_pass_and_its_rules_are_left_alone() {
    let lab = Lab::with_network(&[("web", unlimited())]);
    let id = lab.container(&["web"]);
    mirror(&lab.outside);
    // What dockerd sets up at its start.
    lab.host.ip("link add docker0 type bridge");
    lab.host.ip("address add 172.17.0.1/16 dev docker0");
    lab.host.ip("link set docker0 up");
    for rule in [
        "-P FORWARD DROP",
        "-N DOCKER-USER",
        "-N DOCKER-FORWARD",
        "-A DOCKER-USER -j RETURN",
        "-A DOCKER-FORWARD -i docker0 -j ACCEPT",
        "-I FORWARD -j DOCKER-FORWARD",
        "-I FORWARD -j DOCKER-USER",
        "-t nat -A POSTROUTING -s 172.17.0.0/16 ! -o docker0 -j MASQUERADE",
    ] {
        lab.host.shell(&format!("iptables {rule}"));
    }
    wait_until("packets pass", || lab.reaches(id, OUTSIDE, 80));
    assert_eq!(exchanged(&lab, id, OUTSIDE), 100_000);
    let theirs = || {
        let rules = lab.host.shell("iptables -S FORWARD");
        let lines = rules.lines().filter(|line| !line.contains("SC-"));
        lines.map(str::to_owned).collect::<Vec<_>>()
    };
    let before = theirs();
    let later = lab.container(&["web"]);
    assert!(lab.reaches(later, OUTSIDE, 80));
    assert_eq!(theirs(), before);
}
