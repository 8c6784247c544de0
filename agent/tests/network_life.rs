//! What becomes of the network when containers, agents and bridges come and go, and what it costs.

#![cfg(feature = "gateway-network")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod lab;
#[path = "../../network/tests/netns/mod.rs"]
mod netns;
mod support;

use std::{fs, process::Command};

use lab::{BRIDGE6, Lab, OUTSIDE};
use serde_json::{Value, json};
use support::{Setup, signal, wait_until};

fn outgoing(allow: &Value) -> Value {
    json!([{"direction": "OUTGOING", "allow": [allow]}])
}

fn unlimited() -> Value {
    json!([
        {"direction": "OUTGOING", "allow": [{"host": "*"}]},
        {"direction": "INCOMING", "allow": [{"host": "*"}]}
    ])
}

#[test]
fn nothing_is_doubled_or_left_after_destroy_restart_crash_and_stop() {
    let mut lab = Lab::with_network(&[("all", unlimited())]);
    let mut stopped = None;
    // The bridge is made while the agent is being reached already.
    let id = lab.agent.create();
    lab.agent.client().destroy(id).unwrap();
    let ready = lab.host_state();
    for _ in 0..3 {
        let id = lab.container(&["all"]);
        assert!(lab.pings(id, OUTSIDE));
        lab.agent.client().destroy(id).unwrap();
        assert_eq!(lab.host_state(), ready);
    }
    // A crash with a container that has a network.
    lab.container(&["all"]);
    lab.agent.kill();
    lab.agent.start_agent();
    support::wait_until("the old container is gone", || lab.host_state() == ready);
    let id = lab.container(&["all"]);
    assert!(lab.pings(id, OUTSIDE));
    assert_eq!(lab.agent.stop(), Some(0));
    check_stopped(&lab, &mut stopped);
    // And once more from the beginning.
    lab.agent.start_agent();
    support::wait_until("the bridge is there", || lab.host_state() == ready);
    lab.agent.stop();
    check_stopped(&lab, &mut stopped);
}

/// The host is as if there never had been an agent, the same each time.
fn check_stopped(lab: &Lab, earlier: &mut Option<String>) {
    let state = lab.host_state();
    assert!(
        !state.contains("SC-") && !state.contains(&lab.agent.bridge),
        "{state}"
    );
    assert!(
        state.contains("ip_forward = 0") && state.contains("forwarding = 0"),
        "{state}"
    );
    assert_eq!(*earlier.get_or_insert_with(|| state.clone()), state);
}

#[test]
fn a_full_network_is_a_clear_error_until_a_container_goes() {
    let lab = Lab::with(Setup {
        config: "bridge-netmask = 255.255.255.252\nbridge-netmask-bitlength = 30\n".to_owned(),
        ..Setup::default()
    });
    let first = lab.agent.create();
    let config = r#"[{"writeBufferEnabled": false}]"#;
    let (_, text) = lab.agent.client().create(config).unwrap_err();
    assert!(
        text.contains("no address is left") && text.contains("/30"),
        "{text}"
    );
    assert_eq!(lab.agent.client().list().unwrap(), [first]);
    lab.agent.client().destroy(first).unwrap();
    assert_eq!(lab.agent.create(), first);
}

#[test]
fn a_missing_bridge_that_may_not_be_made_is_an_error_until_it_is_there() {
    let mut setup = Setup::manifest(&lab::manifest(&[("all", &[("network", unlimited())])]));
    setup.config = "create-bridge = false\n".to_owned();
    let lab = Lab::with(setup);
    let bridge = lab.agent.bridge.clone();
    let (_, text) = lab.agent.client().create("[]").unwrap_err();
    assert!(
        text.contains(&bridge) && text.contains("does not exist"),
        "{text}"
    );
    assert!(lab.agent.log().contains(&bridge), "{}", lab.agent.log());
    lab.host.ip(&format!("link add {bridge} type bridge"));
    lab.host
        .ip(&format!("address add {}/24 dev {bridge}", lab.bridge_ip()));
    lab.host
        .ip(&format!("address add {BRIDGE6}/64 dev {bridge} nodad"));
    lab.host.ip(&format!("link set {bridge} up"));
    let id = lab.agent.create();
    let (_, text) = lab
        .agent
        .client()
        .set_capabilities(id, &["all"])
        .unwrap_err();
    assert!(text.contains("ip_forward is off"), "{text}");
    lab.agent.client().destroy(id).unwrap();
    lab.host.shell("sysctl -qw net.ipv4.ip_forward=1");
    let before = lab.host_state();
    let id = lab.container(&["all"]);
    assert!(lab.pings(id, &lab.bridge_ip()));
    assert!(
        !lab.pings(id, OUTSIDE),
        "masquerading is left to whoever made the bridge"
    );
    lab.agent.client().destroy(id).unwrap();
    assert_eq!(lab.host_state(), before);
}

#[test]
fn rules_start_no_program() {
    let twenty: Vec<Value> = (1..=20)
        .map(|n| json!({"host": format!("10.77.{n}.0/24"), "ports": 80 + n, "protocols": "tcp"}))
        .collect();
    let setup = Setup::manifest(&lab::manifest(&[
        (
            "twenty",
            &[(
                "network",
                json!([{"direction": "OUTGOING", "allow": twenty}]),
            )],
        ),
        (
            "one-more",
            &[("network", outgoing(&json!({"host": OUTSIDE})))],
        ),
    ]));
    let lab = Lab::with(setup);
    let id = lab.agent.create();
    for capability in ["twenty", "one-more"] {
        let started = programs_started(&lab, || {
            lab.agent
                .client()
                .set_capabilities(id, &[capability])
                .unwrap();
        });
        assert!(started.is_empty(), "{started:?}");
    }
    let rules = lab.inside(id).shell("nft list ruleset ip");
    assert_eq!(rules.matches("tcp dport").count(), 20, "{rules}");
    let started = programs_started(&lab, || {
        lab.agent
            .client()
            .set_capabilities(id, &["twenty"])
            .unwrap();
    });
    assert!(
        started.is_empty(),
        "a repetition starts nothing: {started:?}"
    );
}

/// The names of the programs that the agent starts while something is done, in order of their
/// names.
fn programs_started(lab: &Lab, work: impl FnOnce()) -> Vec<String> {
    let agent = lab.agent.pid();
    let log = lab.agent.path("strace");
    let mut tracer = Command::new("strace")
        .args(["-f", "-qq", "-e", "trace=execve", "-o"])
        .arg(&log)
        .args(["-p", &agent.to_string()])
        .spawn()
        .unwrap();
    let traced = format!("TracerPid:\t{}", tracer.id());
    wait_until("every thread of the agent is traced", || {
        let tasks = fs::read_dir(format!("/proc/{agent}/task")).unwrap();
        tasks
            // A thread may end meanwhile.
            .filter_map(|task| fs::read_to_string(task.unwrap().path().join("status")).ok())
            .all(|status| status.lines().any(|line| line == traced))
    });
    work();
    signal(tracer.id(), "INT");
    tracer.wait().unwrap();
    let text = fs::read_to_string(&log).unwrap();
    let programs = text
        .lines()
        .filter(|line| line.ends_with(" = 0"))
        .filter_map(|line| {
            let path = line.split_once("execve(\"")?.1.split_once('"')?.0;
            Some(path.rsplit('/').next()?.to_owned())
        });
    let mut programs: Vec<String> = programs.collect();
    programs.sort_unstable();
    programs
}
