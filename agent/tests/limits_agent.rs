//! The cgroups gateway and traffic shaping, with apps in containers of a real agent that run into
//! their limits.

#![cfg(all(feature = "gateway-cgroups", feature = "gateway-network"))]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod lab;
#[path = "../../network/tests/netns/mod.rs"]
mod netns;
mod support;

use std::{
    fs,
    time::{Duration, Instant},
};

use lab::{Lab, OUTSIDE, manifest};
use netns::probe::Sink;
use serde_json::{Value, json};
use support::{Setup, TestAgent};

fn cgroups(pairs: &[(&str, &str)]) -> Value {
    pairs
        .iter()
        .map(|(setting, value)| json!({"setting": setting, "value": value}))
        .collect()
}

fn everything() -> Value {
    json!([{"direction": "OUTGOING", "allow": [{"host": "*"}]}])
}

#[test]
fn an_app_that_wants_more_memory_than_its_container_has_is_killed() {
    let limit = cgroups(&[("memory.limit_in_bytes", "60M")]);
    let agent = TestAgent::with(&Setup::manifest(&manifest(&[(
        "small",
        &[("cgroups", limit)],
    )])));
    let (small, free) = (agent.create(), agent.create());
    agent.client().set_capabilities(small, &["small"]).unwrap();
    let eat = "/usr/bin/head -c 120M /dev/zero | /usr/bin/tail -c 120M | wc -c";
    assert_eq!(agent.shell_ok(free, eat), (120 << 20).to_string());
    let (_, text) = agent.shell(small, eat);
    assert_ne!(text.trim(), (120 << 20).to_string(), "{text}");
    // The container itself survives.
    assert_eq!(agent.shell_ok(small, "echo alive"), "alive");
}

#[test]
fn a_limit_below_what_an_app_uses_is_an_error_and_kills_nothing() {
    let list = [
        ("tiny", cgroups(&[("memory.limit_in_bytes", "6M")])),
        ("pids", cgroups(&[("pids.max", "77")])),
    ];
    let gateways: Vec<_> = list
        .iter()
        .map(|(name, config)| (*name, [("cgroups", config.clone())]))
        .collect();
    let list: Vec<_> = gateways
        .iter()
        .map(|(name, gateways)| (*name, gateways.as_slice()))
        .collect();
    let agent = TestAgent::with(&Setup::manifest(&manifest(&list)));
    let id = agent.create();
    let script =
        "x = bytearray(40 << 20); open(\"/tmp/ready\", \"w\"); import time; time.sleep(100)";
    let command = format!("/usr/bin/python3 -c '{script}'");
    let pid = agent.client().execute(id, &command, "", "", &[]).unwrap();
    support::wait_until("the app has its memory", || {
        agent.shell(id, "test -e /tmp/ready").0 == 0
    });
    let (_, text) = agent
        .client()
        .set_capabilities(id, &["pids", "tiny"])
        .unwrap_err();
    assert!(
        text.contains("cgroups") && text.contains("memory.") && text.contains("already uses"),
        "{text}"
    );
    assert!(support::is_alive(pid));
    agent.client().set_capabilities(id, &["pids"]).unwrap();
}

#[test]
fn two_busy_containers_share_a_processor_as_told() {
    let agent = TestAgent::with(&Setup::manifest(&manifest(&[
        ("large", &[("cgroups", cgroups(&[("cpu.shares", "2048")]))]),
        ("small", &[("cgroups", cgroups(&[("cpu.shares", "512")]))]),
    ])));
    let pids = ["large", "small"].map(|capability| {
        let id = agent.create();
        agent.client().set_capabilities(id, &[capability]).unwrap();
        let spin = "/usr/bin/taskset -c 0 /bin/sh -c 'while :; do :; done'";
        agent.client().execute(id, spin, "", "", &[]).unwrap()
    });
    // In clock ticks, see proc_pid_stat(5).
    let used = |pid: u32| {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
        let fields: Vec<&str> = stat
            .rsplit(')')
            .next()
            .unwrap()
            .split_whitespace()
            .collect();
        fields[11].parse::<u32>().unwrap() + fields[12].parse::<u32>().unwrap()
    };
    std::thread::sleep(Duration::from_millis(500));
    let start = pids.map(used);
    // Others may use the processor too: measure until there is enough.
    let end = Instant::now() + Duration::from_secs(60);
    let [large, small] = loop {
        std::thread::sleep(Duration::from_millis(200));
        let now = pids.map(used);
        let spent = [now[0] - start[0], now[1] - start[1]];
        if spent[0] + spent[1] > 200 || Instant::now() > end {
            break spent;
        }
    };
    println!("{large} : {small} ticks");
    let ratio = f64::from(large) / f64::from(small.max(1));
    assert!(
        (3.0..=5.3).contains(&ratio),
        "{large} : {small}, where 4 : 1 is wanted"
    );
}

#[test]
fn a_classified_container_sends_at_the_rate_of_its_class_and_another_one_does_not() {
    let class = cgroups(&[("net_cls.classid", "0x100001")]);
    let lab = Lab::with(Setup::manifest(&manifest(&[
        ("slow", &[("network", everything()), ("cgroups", class)]),
        ("fast", &[("network", everything())]),
    ])));
    // The commands of the integration guidelines. Their filter is for what has lost nothing on its
    // way: not needed.
    lab.host.shell("tc qdisc add dev wan0 root handle 10: htb");
    lab.host
        .shell("tc class add dev wan0 parent 10: classid 10:1 htb rate 1mbit");
    let send = |capability: &str, port: u16| {
        let id = lab.container(&[capability]);
        let sink = Sink::start(&lab.outside, port);
        let command =
            format!("/bin/sh -c 'cat /dev/zero | /usr/bin/nc.openbsd -N {OUTSIDE} {port}'");
        lab.agent
            .client()
            .execute(id, &command, "", "", &[])
            .unwrap();
        (id, sink)
    };
    let ((slow_id, slow), (_, fast)) = (send("slow", 5001), send("fast", 5002));
    let (limited, unlimited) = std::thread::scope(|scope| {
        let limited = scope.spawn(|| slow.rate());
        let unlimited = scope.spawn(|| fast.rate());
        (limited.join().unwrap(), unlimited.join().unwrap())
    });
    println!("classified: {limited:.0} bit/s, the other: {unlimited:.0} bit/s");
    assert!((850_000.0..=1_150_000.0).contains(&limited), "{limited}");
    assert!(unlimited > 20_000_000.0, "{unlimited}");
    assert!(lab.host_state().contains("meta priority set 10:1"));
    lab.agent.client().destroy(slow_id).unwrap();
    assert!(
        !lab.host_state().contains("meta priority set"),
        "the class goes with the container"
    );
}

#[test]
fn device_rules_reach_the_devices_controller() {
    // The kernel's log; no container has it by default.
    let allow = cgroups(&[("devices.allow", "c 1:11 rwm")]);
    let bad = cgroups(&[("devices.allow", "no rule"), ("pids.max", "5")]);
    let agent = TestAgent::with(&Setup::manifest(&manifest(&[
        ("kmsg", &[("cgroups", allow)]),
        ("bad", &[("cgroups", bad)]),
    ])));
    let id = agent.create();
    let list = |id| {
        // Where the controller is one of cgroup v1, it tells its rules.
        let cgroup = fs::read_to_string(format!("/proc/{}/cgroup", agent.init_pid(id))).unwrap();
        let path = cgroup
            .lines()
            .find_map(|line| line.split_once(":devices:"))?
            .1
            .to_owned();
        fs::read_to_string(format!("/sys/fs/cgroup/devices{path}/devices.list")).ok()
    };
    agent.client().set_capabilities(id, &["kmsg"]).unwrap();
    if let Some(rules) = list(id) {
        assert!(rules.contains("c 1:11 rwm"), "{rules}");
    }
    let (_, text) = agent.client().set_capabilities(id, &["bad"]).unwrap_err();
    assert!(
        text.contains("cgroups") && text.contains("devices.allow"),
        "{text}"
    );
}
