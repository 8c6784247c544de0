//! Host names in rules: on a host that is off line, comes on line, and whose names change.

#![cfg(feature = "gateway-network")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod lab;
#[path = "../../network/tests/netns/mod.rs"]
mod netns;
mod support;

use std::fs;

use lab::{Lab, OUTSIDE};
use netns::{Server, probe::Echo};
use serde_json::json;
use support::{Setup, mounted_for_the_agent, wait_until};
use tempfile::TempDir;

const NAME: &str = "maps.example.test";
/// The name server, an address of the outside that is not there on a host that is off line.
const NAME_SERVER: &str = "198.51.100.9";
/// A second address of the outside.
const OTHER: &str = "198.51.100.3";
/// A name of which nothing changes.
const STEADY: &str = "steady.example.test";

/// A host, and the file that is its resolv.conf.
struct Host {
    lab: Lab,
    dir: TempDir,
}

impl Host {
    fn off_line() -> Self {
        Self::with_resolver("timeout:1 attempts:1")
    }

    /// A host whose name server takes questions and does not answer, and that waits for minutes.
    fn unanswered() -> (Self, Server) {
        let host = Self::with_resolver("timeout:30 attempts:5");
        let outside = &host.lab.outside;
        outside.ip(&format!("addr add {NAME_SERVER}/24 dev eth0"));
        let silent = format!(
            "import socket, time\ns = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n\
             s.bind(('{NAME_SERVER}', 53))\ntime.sleep(100000)\n"
        );
        let server = outside.serve("python3", &["-c", &silent]);
        wait_until("the name server listens", || {
            outside.shell("ss -lnu").contains(":53 ")
        });
        (host, server)
    }

    /// Whether a question waits at the silent name server.
    fn is_asked(&self) -> bool {
        let sockets = self.lab.outside.shell("ss -Hlnu sport = :53");
        let waiting = sockets.split_whitespace().nth(1);
        waiting.is_some_and(|bytes| bytes != "0")
    }

    fn with_resolver(options: &str) -> Self {
        let dir = TempDir::with_prefix("sc-resolver-").unwrap();
        let resolv_conf = dir.path().join("resolv.conf");
        let text = format!("nameserver {NAME_SERVER}\noptions {options}\n");
        fs::write(&resolv_conf, text).unwrap();
        let allow = json!([
            {"host": OUTSIDE, "ports": 80},
            {"host": NAME, "ports": 443},
            {"host": STEADY, "ports": 444},
            {"host": NAME_SERVER, "ports": 53},
        ]);
        let rules = json!([{"direction": "OUTGOING", "allow": allow}]);
        let variable = json!([{"name": "BESIDE", "value": "set"}]);
        let gateways = [("network", rules), ("env", variable)];
        let mut setup = Setup::manifest(&lab::manifest(&[("maps", &gateways)]));
        setup.before = Some(mounted_for_the_agent(
            &resolv_conf,
            "/etc/resolv.conf".as_ref(),
        ));
        let lab = Lab::with(setup);
        lab.outside.ip(&format!("addr add {OTHER}/24 dev eth0"));
        Self { lab, dir }
    }

    /// Goes on line: a name server answers for [`NAME`] with all of `addresses`, until the result
    /// is dropped.
    fn answer(&self, addresses: &[&str]) -> Server {
        let hosts = self.dir.path().join("hosts");
        let lines = addresses
            .iter()
            .map(|address| format!("{address} {NAME}\n"));
        fs::write(&hosts, lines.collect::<String>()).unwrap();
        self.serve(&[
            &format!("--addn-hosts={}", hosts.display()),
            "--local-ttl=600",
        ])
    }

    /// Goes on line with a name server that is told more by `options`.
    fn serve(&self, options: &[&str]) -> Server {
        let outside = &self.lab.outside;
        outside.ip(&format!("addr replace {NAME_SERVER}/24 dev eth0"));
        let always = [
            "--keep-in-foreground",
            "--conf-file=/dev/null",
            "--no-resolv",
        ];
        let more = ["--no-hosts", "--pid-file=", "--user=root"];
        let server = outside.serve("dnsmasq", &[&always[..], &more[..], options].concat());
        wait_until("the name server listens", || {
            outside.shell("ss -lnu").contains(":53 ")
        });
        server
    }
}

#[test]
fn an_app_starts_at_once_off_line_and_reaches_the_name_when_it_is_answered() {
    let host = Host::off_line();
    let lab = &host.lab;
    let _servers = [80, 443].map(|port| Echo::start(&lab.outside, port));
    let id = lab.agent.create();
    lab.agent.client().set_capabilities(id, &["maps"]).unwrap();
    // A look-up takes a second here until it is given up, and that is a warning.
    assert!(!lab.agent.log().contains("cannot look up"), "waited for");
    assert!(
        lab.reaches(id, OUTSIDE, 80),
        "rules for addresses are in force"
    );
    assert_eq!(lab.agent.shell_ok(id, "echo $BESIDE"), "set");
    assert!(
        !lab.reaches(id, OUTSIDE, 443),
        "nobody answers for the name"
    );
    wait_until("the outage is reported", || {
        lab.agent
            .log()
            .contains(&format!("cannot look up host name {NAME} for now"))
    });
    let server = host.answer(&[OUTSIDE]);
    wait_until("the name is reached", || lab.reaches(id, OUTSIDE, 443));
    assert!(!lab.reaches(id, OTHER, 443));
    // What was answered once stays, also when nobody answers any more.
    drop(server);
    lab.agent.client().set_capabilities(id, &["maps"]).unwrap();
    assert!(lab.reaches(id, OUTSIDE, 443));
    let told = format!("cannot look up host name {NAME} ");
    assert_eq!(lab.agent.log().matches(&told).count(), 1);
}

#[test]
fn neither_destroy_nor_the_end_of_the_agent_waits_for_a_look_up() {
    let (host, _silent) = Host::unanswered();
    let id = host.lab.container(&["maps"]);
    wait_until("the name server is asked", || host.is_asked());
    host.lab.agent.client().destroy(id).unwrap();
    let given_up = |host: &Host| host.lab.agent.log().contains("cannot look up");
    assert!(!given_up(&host), "the look-up was waited for");
    let id = host.lab.container(&["maps"]);
    assert!(told_of(&host.lab, id, NAME).unwrap().0);
    let mut host = host;
    assert_eq!(host.lab.agent.stop(), Some(0));
    assert!(!given_up(&host), "the look-up was waited for");
}

/// A name, whether it waits for an answer, its addresses with their ages, and when it is looked up
/// anew.
type NamedHost = (String, bool, Vec<(String, u64)>, u64);

/// What the container's object tells of a name: whether it waits for an answer, its addresses, and
/// the seconds until it is looked up anew.
fn told_of(lab: &Lab, id: i32, name: &str) -> Option<(bool, Vec<String>, u64)> {
    let path = format!("/com/pelagicore/SoftwareContainerAgent/containers/{id}");
    let interface = "org.freedesktop.DBus.Properties";
    let of = "com.pelagicore.SoftwareContainerAgent.Container";
    let client = lab.agent.client();
    let reply = client.call_on(&path, interface, "Get", &(of, "Names"));
    let value: zbus::OwnedVariant = reply.unwrap().body().deserialize().unwrap();
    let names: Vec<NamedHost> = value.try_into().unwrap();
    let found = names.into_iter().find(|it| it.0 == name);
    found.map(|(_, pending, addresses, next)| {
        let addresses = addresses.into_iter().map(|(address, _)| address);
        (pending, addresses.collect(), next)
    })
}

#[test]
fn what_is_known_of_a_name_is_told() {
    let host = Host::off_line();
    let lab = &host.lab;
    let id = lab.container(&["maps"]);
    let (pending, addresses, _) = told_of(lab, id, NAME).unwrap();
    assert!(pending && addresses.is_empty());
    assert_eq!(told_of(lab, id, OUTSIDE), None, "an address is no name");
    let _server = host.answer(&[OUTSIDE, OTHER]);
    wait_until("it is known", || {
        let (pending, addresses, next) = told_of(lab, id, NAME).unwrap();
        !pending && addresses == [OUTSIDE, OTHER] && (1..=601).contains(&next)
    });
    let other = lab.agent.create();
    assert_eq!(told_of(lab, other, NAME), None, "it has no such rule");
}

#[test]
fn an_answer_that_leads_to_the_host_or_to_a_container_does_not_count() {
    let host = Host::off_line();
    let lab = &host.lab;
    let _server = Echo::start(&lab.host, 443);
    let neighbour = lab.agent.create();
    let inside = [
        lab.bridge_ip(),
        lab.address(neighbour),
        "127.0.0.1".to_owned(),
    ];
    let [bridge, container, loopback] = &inside;
    let _server = host.answer(&[bridge, container, loopback, OUTSIDE]);
    let _outside = Echo::start(&lab.outside, 443);
    let id = lab.container(&["maps"]);
    wait_until("the name is reached", || lab.reaches(id, OUTSIDE, 443));
    for inside in inside {
        let line =
            format!("host name {NAME} is answered with {inside}, which is no address outside");
        assert!(lab.agent.log().contains(&line), "{inside}");
        assert!(!lab.reaches(id, &inside, 443), "{inside}");
    }
}

#[test]
fn a_name_whose_addresses_change_is_reached_at_all_of_them_once_the_network_has_changed() {
    let host = Host::off_line();
    let lab = &host.lab;
    let _servers = Echo::start(&lab.outside, 443);
    let id = lab.container(&["maps"]);
    let server = host.answer(&[OUTSIDE]);
    wait_until("the name is reached", || lab.reaches(id, OUTSIDE, 443));
    drop(server);
    let _server = host.answer(&[OTHER]);
    assert!(!lab.reaches(id, OTHER, 443));
    // Far sooner than a name is looked up anew by itself.
    lab.host.ip("address add 203.0.113.9/24 dev wan0");
    wait_until("the other address is reached", || {
        lab.reaches(id, OTHER, 443)
    });
    assert!(
        lab.reaches(id, OUTSIDE, 443),
        "what was answered once stays"
    );
}

#[test]
fn a_name_is_looked_up_anew_when_its_time_to_live_has_ended_and_no_sooner() {
    let host = Host::off_line();
    let lab = &host.lab;
    let log = host.dir.path().join("queries");
    let hosts = host.dir.path().join("changing");
    fs::write(&hosts, format!("{OUTSIDE} {NAME}\n")).unwrap();
    // A caching resolver, which app and agent ask, and the one that has the names.
    let names = host.serve(&[
        &format!("--addn-hosts={}", hosts.display()),
        "--local-ttl=6",
        &format!("--host-record={STEADY},{OUTSIDE},3600"),
        "--bind-interfaces",
        &format!("--listen-address={OTHER}"),
    ]);
    let _cache = host.serve(&[
        &format!("--server={OTHER}"),
        "--bind-interfaces",
        &format!("--listen-address={NAME_SERVER}"),
        "--log-queries",
        &format!("--log-facility={}", log.display()),
    ]);
    let _servers = Echo::start(&lab.outside, 443);
    // How often a name was asked for, by the agent or by the app.
    let asked = |name: &str| {
        let log = fs::read_to_string(&log).unwrap_or_default();
        let asked = format!("query[A] {name} from 198.51.100.1");
        log.matches(&asked).count()
    };
    let id = lab.container(&["maps"]);
    wait_until("the name is reached", || lab.reaches(id, OUTSIDE, 443));
    let steady = asked(STEADY);
    let begin = asked(NAME);
    // Each look-up is one question of the resolver and one for the time to live.
    wait_until("its time has ended twice", || asked(NAME) >= begin + 4);
    let after = asked(STEADY);
    assert!(after <= steady.max(2), "{steady} {after}");
    fs::write(&hosts, format!("{OTHER} {NAME}\n")).unwrap();
    support::signal(names.pid(), "HUP");
    // When the time has ended, the app may ask first, and be answered with an address that the
    // agent does not know yet.
    let mut refused = 0;
    wait_until("the app reaches what its own look-up says", || {
        let reached = lab.reaches(id, NAME, 443);
        refused += u32::from(!reached);
        reached && lab.reaches(id, OTHER, 443)
    });
    println!("{refused} calls of the app were refused until the agent had looked the name up");
    assert!(asked(STEADY) <= steady.max(2));
    assert!(
        lab.reaches(id, OUTSIDE, 443),
        "what was answered once stays"
    );
}
