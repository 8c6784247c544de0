//! What others change in the host's network while containers use it, and how that is set up again.

#![cfg(feature = "gateway-network")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod lab;
#[path = "../../network/tests/netns/mod.rs"]
mod netns;
mod support;

use std::{
    fs,
    time::{Duration, Instant},
};

use lab::{BRIDGE6, Lab, OUTSIDE, OUTSIDE6};
use netns::probe::Echo;
use serde_json::json;
use support::{Setup, wait_until};

const PORT: u16 = 8080;

fn to_the_web() -> Setup {
    let rules = json!([{"direction": "OUTGOING", "allow": [{"host": "*", "protocols": "tcp"}]}]);
    Setup::manifest(&lab::manifest(&[("web", &[("network", rules)])]))
}

/// Changes by somebody else, with `BRIDGE` and `VETH` in place of names, and what the log says of
/// each when it was repaired.
const CHANGES: [(&str, &[&str], &str); 11] = [
    (
        "all rules flushed",
        &["nft flush ruleset"],
        "rules of ours were missing",
    ),
    (
        "firewall reloaded with a policy of DROP",
        &[
            "iptables -P FORWARD DROP",
            "nft flush ruleset",
            "iptables -P FORWARD DROP",
            "ip6tables -P FORWARD DROP",
        ],
        "rules of ours were missing",
    ),
    (
        "our chain emptied",
        &["nft flush chain ip softwarecontainer-BRIDGE SC-NAT-BRIDGE"],
        "rules of ours were missing",
    ),
    (
        "forwarding of IPv4 off",
        &["sysctl -qw net.ipv4.ip_forward=0"],
        "forwarding of IPv4 was off",
    ),
    (
        "forwarding of IPv4 off for the bridge",
        &["sysctl -qw net.ipv4.conf.BRIDGE.forwarding=0"],
        "forwarding of IPv4 was off",
    ),
    (
        "forwarding of IPv6 off",
        &["sysctl -qw net.ipv6.conf.all.forwarding=0"],
        "forwarding of IPv6 was off",
    ),
    (
        "the bridge's addresses flushed",
        &["ip addr flush dev BRIDGE"],
        "the bridge lacked its address",
    ),
    ("the bridge down", &["ip link set BRIDGE down"], "was down"),
    (
        "the bridge deleted",
        &["ip link del BRIDGE"],
        "the bridge did not exist",
    ),
    (
        "the bridge made anew by hand",
        // The repair may be there first: then the second one fails.
        &["ip link del BRIDGE", "?ip link add BRIDGE type bridge"],
        "was not connected to the bridge",
    ),
    (
        "the container taken off the bridge",
        &["ip link set VETH nomaster"],
        "was not connected to the bridge",
    ),
];

#[test]
fn what_is_taken_while_an_app_runs_is_there_again_within_moments() {
    let lab = Lab::with(to_the_web());
    let _echo = Echo::start(&lab.outside, PORT);
    let id = lab.container(&["web"]);
    let inside = lab.inside(id);
    let passes = || inside.tcp(OUTSIDE, PORT).is_some() && inside.tcp(OUTSIDE6, PORT).is_some();
    assert!(passes());
    let (bridge, veth) = (&lab.agent.bridge, format!("sc{id}-{}", lab.agent.bridge));
    let veth = &veth[..veth.len().min(15)];
    for (what, commands, said) in CHANGES {
        // A bridge that was made anew is the last of the interfaces.
        let state = || {
            let state = lab.host_state();
            let mut lines: Vec<String> = state.lines().map(str::to_owned).collect();
            lines.sort();
            lines
        };
        let before = state();
        let said_before = lab.agent.log().matches(said).count();
        let start = Instant::now();
        for command in commands {
            let command = command.replace("BRIDGE", bridge).replace("VETH", veth);
            match command.strip_prefix('?') {
                Some(command) => drop(lab.host.try_run(command)),
                None => drop(lab.host.shell(&command)),
            }
        }
        wait_until("it is said what was repaired", || {
            lab.agent.log().matches(said).count() > said_before
        });
        wait_until("packets pass again", passes);
        println!("{what}: packets pass again after {:?}", start.elapsed());
        // With the integrator's own policies as these are now.
        wait_until("everything is as before, and nothing is doubled", || {
            state() == before
        });
    }
    let log = lab.agent.log();
    assert!(!log.contains("again and again"), "{log}");
    assert!(!log.contains("ERROR"), "{log}");
}

#[test]
fn what_is_changed_of_a_containers_filters_and_rates_is_there_again() {
    let rules = json!([
        {"direction": "OUTGOING", "allow": [{"host": "*", "protocols": "tcp"}]},
        {"egress-rate": "2mbit", "ingress-rate": "4mbit"},
    ]);
    let manifest = lab::manifest(&[("web", &[("network", rules)])]);
    let lab = Lab::with(Setup::manifest(&manifest));
    let _echo = Echo::start(&lab.outside, PORT);
    let id = lab.container(&["web"]);
    let inside = lab.inside(id);
    let device = |kind: &str| {
        let mut name = format!("sc{id}{kind}-{}", lab.agent.bridge);
        name.truncate(15);
        name
    };
    let (veth, detour) = (device(""), device("r"));
    // Without handles and indexes, which are new each time.
    let state = || {
        let filters = lab
            .host
            .shell(&format!("tc filter show dev {veth} ingress"));
        let redirects = filters.contains(&format!("Redirect to device {detour}"));
        let verdicts = filters.matches("direct-action").count();
        let rates = [&veth, &detour].map(|device| {
            let shown = lab
                .host
                .try_run(&format!("tc qdisc show dev {device} root"));
            let shown = String::from_utf8(shown.stdout).unwrap();
            let rate = shown.split_once(" rate ").map(|(_, rest)| rest.to_owned());
            rate.and_then(|rest| rest.split(' ').next().map(str::to_owned))
        });
        (verdicts, redirects, rates)
    };
    let ready = state();
    let rates = ["4Mbit", "2Mbit"].map(|rate| Some(rate.to_owned()));
    assert_eq!(ready, (1, true, rates));
    for change in [
        format!("tc qdisc del dev {veth} root"),
        format!("tc qdisc replace dev {veth} root tbf rate 9mbit burst 9k latency 9ms"),
        format!("tc qdisc del dev {veth} clsact"),
        format!("tc filter del dev {veth} ingress"),
        format!("tc filter del dev {veth} ingress prio 2"),
        format!("tc qdisc del dev {detour} root"),
        format!("ip link set {detour} down"),
        format!("ip link del {detour}"),
        format!("ip link set {veth} nomaster"),
    ] {
        let start = Instant::now();
        lab.host.shell(&change);
        wait_until("all is as before", || state() == ready);
        wait_until("packets pass", || inside.tcp(OUTSIDE, PORT).is_some());
        println!("{change}: as before after {:?}", start.elapsed());
    }
    let log = lab.agent.log();
    assert!(
        log.contains("filters or rates of container 0 were changed"),
        "{log}"
    );
    assert!(!log.contains("ERROR"), "{log}");
    lab.agent.client().destroy(id).unwrap();
    assert_eq!(lab.host.ip("-br link show type ifb"), "");
}

/// A host whose bridge is made by somebody else.
fn with_a_bridge_of_others() -> Lab {
    let mut setup = to_the_web();
    setup.config = "create-bridge = false\n".to_owned();
    let lab = Lab::with(setup);
    make_bridge(&lab);
    lab
}

fn make_bridge(lab: &Lab) {
    let bridge = &lab.agent.bridge;
    for line in [
        format!("link add {bridge} type bridge"),
        format!("address add {}/24 dev {bridge}", lab.bridge_ip()),
        format!("address add {BRIDGE6}/64 dev {bridge} nodad"),
        format!("link set {bridge} up"),
    ] {
        lab.host.ip(&line);
    }
    for switch in ["net.ipv4.ip_forward", "net.ipv6.conf.all.forwarding"] {
        lab.host.shell(&format!("sysctl -qw {switch}=1"));
    }
}

#[test]
fn a_bridge_of_others_is_missed_once_and_followed_when_it_is_back() {
    let lab = with_a_bridge_of_others();
    lab.route_to_containers();
    let _echo = Echo::start(&lab.outside, PORT);
    let id = lab.container(&["web"]);
    let inside = lab.inside(id);
    assert!(inside.tcp(OUTSIDE, PORT).is_some());
    lab.host.ip(&format!("link del {}", lab.agent.bridge));
    let missed = || {
        lab.agent
            .log()
            .matches("the bridge did not exist: ")
            .count()
    };
    wait_until("it is told", || missed() > 0);
    let (_, text) = lab
        .agent
        .client()
        .set_capabilities(id, &["web"])
        .unwrap_err();
    assert!(text.contains("does not exist"), "{text}");
    let start = Instant::now();
    make_bridge(&lab);
    wait_until("packets pass again", || inside.tcp(OUTSIDE, PORT).is_some());
    println!("a new bridge: packets pass after {:?}", start.elapsed());
    assert_eq!(missed(), 1);
    lab.agent.client().set_capabilities(id, &["web"]).unwrap();
}

#[test]
fn capabilities_are_refused_where_no_packet_could_pass() {
    let lab = with_a_bridge_of_others();
    let refusal = |breaks: &str, mends: &[&str]| {
        let id = lab.agent.create();
        lab.host.shell(breaks);
        let refused = lab.agent.client().set_capabilities(id, &["web"]);
        for line in mends {
            lab.host.shell(line);
        }
        lab.agent.client().set_capabilities(id, &["web"]).unwrap();
        lab.agent.client().destroy(id).unwrap();
        refused.unwrap_err().1
    };
    let (bridge, ip) = (&lab.agent.bridge, lab.bridge_ip());
    let text = refusal(
        "sysctl -qw net.ipv4.ip_forward=0",
        &["sysctl -qw net.ipv4.ip_forward=1"],
    );
    assert!(text.contains("net.ipv4.ip_forward is off"), "{text}");
    let text = refusal(
        &format!("ip addr del {ip}/24 dev {bridge}"),
        &[&format!("ip addr add {ip}/24 dev {bridge}")],
    );
    assert!(text.contains("without the configured address"), "{text}");
    let text = refusal(
        &format!("ip link set {bridge} down"),
        &[
            &format!("ip link set {bridge} up"),
            &format!("ip addr add {BRIDGE6}/64 dev {bridge} nodad"),
        ],
    );
    assert!(text.contains("is down"), "{text}");
}

#[test]
fn who_takes_the_same_again_and_again_is_told_of_and_waited_for() {
    let lab = Lab::with(to_the_web());
    let id = lab.container(&["web"]);
    let fights = || lab.agent.log().matches("again and again").count();
    let forwarding = || lab.host.shell("sysctl -n net.ipv4.ip_forward").trim() == "1";
    for _ in 0..24 {
        if fights() > 0 {
            break;
        }
        wait_until("it is on", forwarding);
        lab.host.shell("sysctl -qw net.ipv4.ip_forward=0");
    }
    wait_until("the fight is told of", || fights() == 1);
    let repairs = || {
        lab.agent
            .log()
            .matches("forwarding of IPv4 was off")
            .count()
    };
    let told = repairs();
    wait_until("it is on", forwarding);
    lab.host.shell("sysctl -qw net.ipv4.ip_forward=0");
    wait_until("it is on in the end", forwarding);
    assert_eq!((fights(), repairs()), (1, told));
    // A call does not wait.
    lab.host.shell("sysctl -qw net.ipv4.ip_forward=0");
    lab.agent.client().set_capabilities(id, &["web"]).unwrap();
    assert!(forwarding());
}

/// Numbers that are the same in each run with the same beginning (xorshift).
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % end
    }
}

/// What the agent has of the system: descriptors, threads, and KiB of memory.
fn used(pid: u32) -> (usize, usize, u64) {
    let count = |what: &str| fs::read_dir(format!("/proc/{pid}/{what}")).unwrap().count();
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let memory = status
        .lines()
        .find_map(|line| line.strip_prefix("RssAnon:"));
    let memory = memory.unwrap().trim().trim_end_matches(" kB").parse();
    (count("fd"), count("task"), memory.unwrap())
}

/// How many changes a hostile administrator makes, if it is to be another number.
const ROUNDS: &str = "SOFTWARECONTAINER_TEST_NETWORK_CHANGES";

#[test]
fn a_hostile_administrator_does_not_win() {
    let own = ["nft delete table ip softwarecontainer-BRIDGE"];
    fight("", &own, Lab::host_state);
}

#[test]
fn a_hostile_administrator_does_not_win_against_the_programs_of_iptables_either() {
    let own = [
        "iptables -F SC-FWD-BRIDGE",
        "iptables -t nat -D POSTROUTING -j SC-NAT-BRIDGE",
        "iptables -t nat -A POSTROUTING -j SC-NAT-BRIDGE",
        "ip6tables -F",
    ];
    fight("firewall = iptables\n", &own, |lab| {
        let rules = ["iptables-save", "ip6tables-save"].map(|save| lab.host.shell(save));
        let rules = rules.iter().flat_map(|text| text.lines());
        let rules: Vec<&str> = rules.filter(|line| line.contains("SC-")).collect();
        assert!(rules.len() > 10, "{rules:?}");
        let addresses = format!("-br -4 address show {}", lab.agent.bridge);
        format!("{}\n{}", rules.join("\n"), lab.host.ip(&addresses))
    });
}

/// Changes of the host's network in a loop, those of [`CHANGES`] and `own`, while apps of an agent
/// with this configuration fetch; at the end everything is as before, as far as `state` tells.
fn fight(config: &str, own: &[&'static str], state: fn(&Lab) -> String) {
    let changes = std::env::var(ROUNDS).map_or(50, |text| text.parse::<u64>().unwrap());
    let mut setup = to_the_web();
    setup.config.push_str(config);
    let lab = Lab::with(setup);
    let _echo = Echo::start(&lab.outside, PORT);
    // What belongs to others.
    lab.host.ip("link add other0 type bridge");
    lab.host.ip("address add 203.0.113.1/24 dev other0");
    lab.host.ip("link set other0 up");
    let table = "table inet admin {\n chain entry {\n type filter hook input priority 5; policy accept;\n \
                 ip saddr 203.0.113.66 drop\n }\n}\n";
    let rules = lab.agent.path("rules.nft");
    fs::write(&rules, format!("flush ruleset\n{table}")).unwrap();
    let reload = format!("nft -f {}", rules.display());
    lab.host.shell(&reload);
    let of_others = || {
        let table = lab.host.shell("nft list table inet admin");
        format!("{table}{}", lab.host.ip("-br address show other0"))
    };
    let others = of_others();
    let apps: Vec<_> = (0..4)
        .map(|number| {
            let id = lab.container(&["web"]);
            let fetched = lab.agent.path(&format!("fetched-{number}"));
            let fetch = format!("/usr/bin/nc.openbsd -w 1 {OUTSIDE} {PORT} < /dev/null");
            let command = format!("sh -c 'while :; do {fetch} && echo; sleep 0.02; done'");
            let client = lab.agent.client();
            let output = fetched.to_str().unwrap();
            client.execute(id, &command, "", output, &[]).unwrap();
            (id, fetched)
        })
        .collect();
    let count = || -> Vec<usize> {
        let lines = |text: String| text.lines().filter(|line| !line.is_empty()).count();
        let count = |path: &std::path::PathBuf| lines(fs::read_to_string(path).unwrap_or_default());
        apps.iter().map(|(_, path)| count(path)).collect()
    };
    let all_fetch = || {
        let before = count();
        wait_until("all apps fetch", || {
            count()
                .iter()
                .zip(&before)
                .all(|(now, before)| now > before)
        });
    };
    all_fetch();
    let state = || {
        let mut lines: Vec<String> = state(&lab).lines().map(str::to_owned).collect();
        lines.sort();
        lines
    };
    let ready = state();
    let before = used(lab.agent.pid());

    let seed = u64::from(std::process::id()) | 1 << 32;
    println!("{changes} changes from {seed}");
    let mut numbers = Numbers(seed);
    let start = Instant::now();
    for _ in 0..changes {
        let pick = |numbers: &mut Numbers, length: usize| {
            usize::try_from(numbers.below(u64::try_from(length).unwrap())).unwrap()
        };
        let change = pick(&mut numbers, CHANGES.len() + own.len());
        let commands = match CHANGES.get(change) {
            Some((_, commands, _)) => commands,
            None => &own[change - CHANGES.len()..][..1],
        };
        let (id, _) = apps[pick(&mut numbers, apps.len())];
        let veth = format!("sc{id}-{}", lab.agent.bridge);
        for command in commands {
            let command = command
                .trim_start_matches('?')
                .replace("BRIDGE", &lab.agent.bridge)
                .replace("VETH", &veth[..veth.len().min(15)]);
            // What it is about may be away at the time.
            lab.host.try_run(&command);
        }
        std::thread::sleep(Duration::from_millis(numbers.below(150)));
    }
    let during = start.elapsed();
    lab.host.shell("iptables -P FORWARD ACCEPT");
    lab.host.shell("ip6tables -P FORWARD ACCEPT");
    lab.host.shell(&reload);

    let start = Instant::now();
    all_fetch();
    println!(
        "{during:?} of changes, all fetch {:?} after the last",
        start.elapsed()
    );
    wait_until("nothing is missing or doubled", || state() == ready);
    println!("all as before {:?} after the last", start.elapsed());
    assert_eq!(of_others(), others);
    wait_until("nothing is left of the repairs", || {
        let now = used(lab.agent.pid());
        // A worker thread that was there before may have ended.
        now.0 <= before.0 && now.1 <= before.1
    });
    let after = used(lab.agent.pid());
    println!(
        "descriptors, threads, memory (KiB): {before:?}, {after:?}; fetched {:?}",
        count()
    );
    assert!(after.2 < before.2 + 1024, "{before:?} {after:?}");
}

#[test]
fn a_network_that_an_uplink_uses_too_is_told_of_when_it_comes() {
    let lab = Lab::with(to_the_web());
    lab.agent.create();
    let told = || lab.agent.log().matches("is in use elsewhere, too").count();
    assert_eq!(told(), 0, "{}", lab.agent.log());
    let ip = lab.bridge_ip();
    let network = ip.strip_suffix(".1").unwrap();
    lab.host
        .ip(&format!("address add {network}.200/25 dev wan0"));
    wait_until("it is told", || told() > 0);
    let log = lab.agent.log();
    assert!(log.contains(&format!("{network}.128/25 on wan0")), "{log}");
    lab.host.ip("address add 203.0.113.9/24 dev wan0");
    lab.host
        .ip(&format!("address del {network}.200/25 dev wan0"));
    wait_until("its end is told", || {
        lab.agent.log().contains("no longer in use elsewhere")
    });
    assert_eq!(told(), 1);
}

#[test]
fn a_free_address_is_chosen_where_the_first_is_in_use() {
    let mut setup = to_the_web();
    setup.config =
        "bridge-ip = auto\nbridge-ip-candidates = 198.51.100.77; 10.233.7.1\n".to_owned();
    let lab = Lab::with(setup);
    let id = lab.container(&["web"]);
    let addresses = lab
        .host
        .ip(&format!("-br -4 address show {}", lab.agent.bridge));
    assert!(addresses.contains("10.233.7.1/24"), "{addresses}");
    let _echo = Echo::start(&lab.outside, PORT);
    assert!(lab.inside(id).tcp(OUTSIDE, PORT).is_some());
}
