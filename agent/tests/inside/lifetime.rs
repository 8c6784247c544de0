//! What lasts, and what it costs.

use std::fs;

use crate::{
    error,
    lab::Lab,
    properties,
    support::{Client, Setup, TestAgent, wait_until},
};

/// How many clients may watch.
const WATCHERS: usize = 64;

#[test]
fn watchers_are_bounded_and_forgotten_when_they_leave() {
    let agent = TestAgent::start();
    let id = agent.create();
    let mut watchers: Vec<Client> = (0..WATCHERS).map(|_| agent.new_client()).collect();
    for watcher in &watchers {
        watcher.manage("Subscribe", &()).unwrap();
    }
    let further = agent.new_client();
    let (name, text) = further.manage("Subscribe", &()).unwrap_err();
    assert_eq!(name, error!("LimitReached"), "{text}");
    // Who cannot watch can still look.
    properties(&further, id).unwrap();
    watchers.pop().unwrap().leave();
    wait_until("a place is free", || {
        further.manage("Subscribe", &()).is_ok()
    });
}

/// How often a process was woken up (proc_pid_status(5)).
fn switches(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status
        .lines()
        .find_map(|it| it.strip_prefix("voluntary_ctxt_switches:"));
    line.unwrap().trim().parse().unwrap()
}

#[test]
fn an_agent_that_nobody_calls_sleeps_also_with_containers_and_watchers() {
    // A network of its own: the bridges of other tests would wake it.
    let lab = Lab::with(Setup::default());
    let agent = &lab.agent;
    let id = agent.create();
    agent.client().manage("Subscribe", &()).unwrap();
    agent
        .client()
        .execute(id, "/bin/sleep 1000", "", "", &[])
        .unwrap();
    let mut before = switches(agent.pid());
    // Whatever is still under way ends.
    wait_until("the agent sleeps", || {
        std::thread::sleep(std::time::Duration::from_secs(2));
        let now = switches(agent.pid());
        std::mem::replace(&mut before, now) == now
    });
    lab.host.ip("link add other0 type bridge");
    wait_until("a change of the host's network wakes it", || {
        switches(agent.pid()) > before
    });
}
