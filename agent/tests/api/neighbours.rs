//! A call on one container does not hold up those on others.

use std::{
    fs,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use crate::{
    support::{Setup, TestAgent, is_alive, wait_until},
    unable,
};

/// An agent whose container 0 takes three seconds to be destroyed.
fn with_stubborn_container() -> TestAgent {
    let agent = TestAgent::with(&Setup {
        config: "shutdown-timeout = 3".to_owned(),
        ..Setup::default()
    });
    let id = agent.create();
    let output = agent.path("stubborn");
    let command = "sh -c 'trap \"\" TERM; echo ready; while :; do sleep 1; done'";
    agent
        .client()
        .execute(id, command, "", output.to_str().unwrap(), &[])
        .unwrap();
    wait_until("the trap is set", || {
        std::fs::read_to_string(&output).is_ok_and(|text| text.contains("ready"))
    });
    agent
}

#[test]
fn while_one_container_takes_long_to_end_others_come_work_and_go() {
    let agent = with_stubborn_container();
    std::thread::scope(|scope| {
        let slow = scope.spawn(|| {
            let started = Instant::now();
            agent.new_client().destroy(0).unwrap();
            started.elapsed()
        });
        std::thread::sleep(Duration::from_millis(200));
        let client = agent.client();
        let started = Instant::now();
        assert_eq!(client.list().unwrap(), [0]);
        let id = agent.create();
        assert_eq!(id, 1);
        assert_eq!(agent.shell_ok(id, "echo works"), "works");
        client.bind_mount(id, "/tmp", "/mnt/tmp", true).unwrap();
        client.suspend(id).unwrap();
        client.resume(id).unwrap();
        client.destroy(id).unwrap();
        let took = started.elapsed();
        assert!(!slow.is_finished(), "the others took {took:?}");
        let slow = slow.join().unwrap();
        assert!(slow >= Duration::from_secs(3), "{slow:?}");
    });
}

/// Processes in a v1 cgroup that somebody else has frozen cannot be killed by anybody: Destroy
/// thaws them first.
#[test]
fn a_container_that_somebody_else_has_frozen_is_destroyed_and_others_go_on() {
    let agent = TestAgent::start();
    let (frozen, other) = (agent.create(), agent.create());
    let client = agent.client();
    let pid = client.execute(frozen, "sleep 100", "", "", &[]).unwrap();
    let Some(freezer) = v1_freezer_of(pid) else {
        unable::note("there is no v1 freezer, and what a v2 freezer holds can be killed");
        return;
    };
    fs::write(&freezer, "FROZEN").unwrap();
    std::thread::scope(|scope| {
        let destroying = scope.spawn(|| agent.new_client().destroy(frozen));
        assert_eq!(agent.shell_ok(other, "echo works"), "works");
        destroying.join().unwrap().unwrap();
    });
    client.wait_ended(frozen, pid);
    assert!(!is_alive(pid));
    assert_eq!(client.list().unwrap(), [other]);
    assert_eq!(agent.create(), frozen);
    assert_eq!(agent.shell_ok(frozen, "echo new"), "new");
}

/// The file that freezes the container of a process.
fn v1_freezer_of(pid: u32) -> Option<PathBuf> {
    let list = fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap();
    let path = list
        .lines()
        .find_map(|line| line.split_once(":freezer:"))?
        .1
        .trim_start_matches('/');
    Some(
        Path::new("/sys/fs/cgroup/freezer")
            .join(path)
            .join("freezer.state"),
    )
}

#[test]
fn calls_on_the_same_container_wait_for_each_other() {
    let agent = with_stubborn_container();
    std::thread::scope(|scope| {
        let slow = scope.spawn(|| agent.new_client().destroy(0));
        std::thread::sleep(Duration::from_millis(200));
        let late = agent.client().execute(0, "true", "", "", &[]);
        assert!(slow.join().unwrap().is_ok());
        let (_, text) = late.unwrap_err();
        assert!(text.contains("ID 0"), "{text}");
    });
}

#[test]
fn list_and_execute_do_not_wait_for_create() {
    let agent = TestAgent::start();
    let first = agent.create();
    let done = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        let creating = scope.spawn(|| {
            let client = agent.new_client();
            let started = Instant::now();
            for _ in 0..8 {
                client.create("[]").unwrap();
            }
            let whole = started.elapsed();
            done.store(true, std::sync::atomic::Ordering::Relaxed);
            whole / 8
        });
        let client = agent.client();
        let (mut lists, mut runs, mut during) = (Vec::new(), 0_u32, 0_usize);
        while !done.load(std::sync::atomic::Ordering::Relaxed) {
            let started = Instant::now();
            during = during.max(client.list().unwrap().len());
            lists.push(started.elapsed());
            let pid = client.execute(first, "true", "", "", &[]).unwrap();
            client.wait_ended(first, pid);
            runs += 1;
        }
        lists.sort_unstable();
        let (median, create) = (lists[lists.len() / 2], creating.join().unwrap());
        assert!(
            median * 4 < create,
            "List takes {median:?} while containers are created, each in {create:?}"
        );
        assert!(runs > 8, "{runs} processes ran during 8 Creates");
        assert!(during > 1);
    });
    assert_eq!(agent.client().list().unwrap().len(), 9);
}

#[test]
fn a_container_that_comes_to_be_is_not_there_yet() {
    let agent = TestAgent::start();
    std::thread::scope(|scope| {
        let creating = scope.spawn(|| agent.new_client().create("[]").unwrap());
        // Either it is listed and works, or it is not listed.
        while !creating.is_finished() {
            for id in agent.client().list().unwrap() {
                let pid = agent.client().execute(id, "true", "", "", &[]).unwrap();
                agent.client().wait_ended(id, pid);
            }
        }
    });
}
