//! Containers whose processes get to nothing, because others have frozen them or their share of the
//! processors is used up.

use std::fs;

use softwarecontainer_agent::host::cgroup::{self, Cgroups, CpuQuota, Freezer, Version};

use crate::support::{PATIENCE, Setup, TestAgent, is_alive, wait_until};

/// As lxc-freeze(1) does.
#[test]
fn a_container_that_others_have_frozen_says_so_and_can_be_destroyed() {
    let agent = TestAgent::start();
    let id = agent.create();
    let pid = agent
        .client()
        .execute(id, "sleep 1000", "", "", &[])
        .unwrap();
    let cgroups = Cgroups::of_process(pid).unwrap();
    let freezer = Freezer::of(&cgroups).unwrap();
    assert!(freezer.freeze(*PATIENCE).unwrap());
    let (_, message) = agent.client().execute(id, "true", "", "", &[]).unwrap_err();
    assert!(message.contains("frozen"), "{message}");
    agent.client().destroy(id).unwrap();
    assert!(!is_alive(pid));
}

/// Ending takes processor time, too.
#[test]
fn a_container_that_uses_up_its_quota_of_processor_time_can_be_destroyed() {
    let agent = TestAgent::start();
    let id = agent.create();
    let script = "sh -c 'for i in $(seq 40); do (while :; do :; done) & done; wait'";
    let pid = agent.client().execute(id, script, "", "", &[]).unwrap();
    let cgroups = Cgroups::of_process(pid).unwrap();
    let directory = cgroups.directory("cpu").unwrap();
    let (file, quota) = match cgroups.version("cpu").unwrap() {
        Version::V1 => ("cpu.cfs_quota_us", "2000"),
        Version::V2 => ("cpu.max", "2000 100000"),
    };
    cgroup::write(&directory.join(file), quota).unwrap();
    let throttled = || CpuQuota::of(&cgroups).unwrap().times_throttled();
    let before = throttled();
    wait_until("the quota is used up", || throttled() > before + 3);
    agent.client().destroy(id).unwrap();
    assert!(!is_alive(pid));
}

/// Three hundred processes that begin to use the processors when all are there.
const BUSY: &str = "/usr/bin/python3 -I -c '
import os
wait, go = os.pipe()
for _ in range(300):
    if os.fork() == 0:
        os.close(go)
        os.read(wait, 1)
        while True: pass
os.close(go)
while True: pass
'";

/// What all containers may have is little, and an app of this one has hundreds of processes to
/// share it.
#[test]
fn an_app_that_takes_all_processor_time_does_not_keep_its_launcher_from_its_container() {
    let agent = TestAgent::with(&Setup {
        config: "total-cpu = 5\n".to_owned(),
        ..Setup::default()
    });
    let id = agent.create();
    let client = agent.client();
    client.execute(id, BUSY, "", "", &[]).unwrap();
    let container = Cgroups::of_process(agent.init_pid(id)).unwrap();
    let directory = container.directory("cpu").unwrap();
    wait_until("it is at work", || cgroup::members::count(&directory) > 300);
    let pid = client.execute(id, "sleep 1000", "", "", &[]).unwrap();
    assert!(is_alive(pid));
    client.suspend(id).unwrap();
    client.resume(id).unwrap();
    client.destroy(id).unwrap();
    assert!(!is_alive(pid));
}

/// The init comes first in its container; what it starts has the priority that it would have had
/// without that.
#[test]
fn an_app_does_not_have_the_priority_of_its_init() {
    let agent = TestAgent::start();
    let id = agent.create();
    let pid = agent
        .client()
        .execute(id, "sleep 1000", "", "", &[])
        .unwrap();
    // Field 19 of proc_pid_stat(5), counted from the one behind the program's name.
    let nice = |pid: u32| -> i32 {
        let text = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
        let (_, fields) = text.rsplit_once(')').unwrap();
        fields
            .split_whitespace()
            .nth(19 - 3)
            .unwrap()
            .parse()
            .unwrap()
    };
    assert_eq!(nice(agent.init_pid(id)), -20);
    wait_until("the app has its own", || nice(pid) == nice(agent.pid()));
    let text = agent.shell_ok(id, "cut -d' ' -f19 /proc/self/stat");

    assert_eq!(text.trim(), nice(agent.pid()).to_string());
}
