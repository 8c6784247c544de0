//! Calls of liblxc that do not come back.

use std::{fs, time::Duration};

use crate::support::{Setup, TestAgent, is_alive, signal, wait_until};

/// A hook of the integrator's that never ends, in the middle of liblxc's start.
#[test]
fn an_agent_whose_liblxc_hangs_answers_and_can_be_stopped() {
    let directory = tempfile::TempDir::with_prefix("sc-test-").unwrap();
    let (extra, told) = (directory.path().join("extra"), directory.path().join("pid"));
    let hook = format!(
        "lxc.hook.pre-start = /bin/sh -c 'echo $$ > {} && exec sleep 1000'\n",
        told.display()
    );
    fs::write(&extra, hook).unwrap();
    let mut agent = TestAgent::with(&Setup {
        config: format!("deprecated-lxc-config-path = {}", extra.display()),
        ..Setup::default()
    });
    let client = agent.new_client();
    let caller = std::thread::spawn(move || client.create("[]").map_err(|error| error.1));
    let hook = || fs::read_to_string(&told).ok()?.trim().parse::<u32>().ok();
    wait_until("liblxc hangs", || hook().is_some());
    assert_eq!(agent.client().list().unwrap(), [0_i32; 0]);
    signal(agent.pid(), "TERM");
    wait_until("the stop has begun", || agent.log().contains("stopping"));
    let (_, message) = agent.client().create("[]").unwrap_err();
    assert!(message.contains("the agent is stopping"), "{message}");
    // liblxc is given that long for a start.
    let status = agent.wait_agent_beyond(Duration::from_secs(30));
    assert_eq!(status, Some(0), "{}", agent.log());
    caller.join().unwrap().unwrap_err();
    assert!(agent.mounts().is_empty(), "{:?}", agent.mounts());
    // It is the integrator's and outside of the container; under systemd it goes with the unit.
    signal(hook().unwrap(), "KILL");
}

/// LXC's monitor does not answer: a process of the host's has stopped it.
#[test]
fn an_agent_whose_container_has_a_hanging_monitor_can_be_stopped() {
    let mut agent = TestAgent::start();
    let id = agent.create();
    let init = agent.init_pid(id);
    let status = fs::read_to_string(format!("/proc/{init}/status")).unwrap();
    let monitor = status.lines().find_map(|line| line.strip_prefix("PPid:"));
    let monitor: u32 = monitor.unwrap().trim().parse().unwrap();
    signal(monitor, "STOP");
    let client = agent.new_client();
    let caller = std::thread::spawn(move || drop(client.suspend(id)));
    assert_eq!(agent.client().list().unwrap(), [id]);
    signal(agent.pid(), "TERM");
    assert_eq!(agent.wait_agent(), Some(0), "{}", agent.log());
    caller.join().unwrap();
    for process in [init, monitor] {
        wait_until("it has ended", || !is_alive(process));
    }
    assert!(agent.mounts().is_empty(), "{:?}", agent.mounts());
}
