//! What many containers and processes leave behind: nothing.
#![allow(clippy::unwrap_used, clippy::panic)]

mod support;

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use support::{Cgroup, Setup, TestAgent, cgroups_of, wait_until};

/// How often; each time one container and some processes.
const CYCLES: usize = 200;

/// Everything that could grow, with its count.
fn counts(agent: &TestAgent) -> BTreeMap<&'static str, usize> {
    let own = format!("/proc/{}", agent.pid());
    let entries = |path: &str| fs::read_dir(path).map_or(0, Iterator::count);
    let links = fs::read_dir("/sys/class/net")
        .unwrap()
        .filter(|entry| {
            let name = entry.as_ref().unwrap().file_name().into_string().unwrap();
            name.contains(&agent.bridge)
        })
        .count();
    BTreeMap::from([
        ("descriptors", entries(&format!("{own}/fd"))),
        ("threads", entries(&format!("{own}/task"))),
        ("mounts", agent.mounts().len()),
        ("links", links),
        (
            "directories of LXC",
            entries(agent.path("lxc").to_str().unwrap()),
        ),
        (
            "directories of containers",
            entries(agent.path("mounts").to_str().unwrap()),
        ),
        ("children", children(agent.pid())),
    ])
}

fn children(pid: u32) -> usize {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).unwrap();
    tasks
        .flatten()
        .filter_map(|task| fs::read_to_string(task.path().join("children")).ok())
        .map(|list| list.split_whitespace().count())
        .sum()
}

fn memory(agent: &TestAgent) -> usize {
    let text = fs::read_to_string(format!("/proc/{}/smaps_rollup", agent.pid())).unwrap();
    let line = text
        .lines()
        .find(|line| line.starts_with("Private_Dirty:"))
        .unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

fn cycle(agent: &TestAgent) {
    let client = agent.client();
    let id = agent.create();
    assert_eq!(id, 0);
    let output = agent.path("leak-output");
    let path = output.to_str().unwrap();
    for (command, output) in [("true", ""), ("echo x", path), ("no-such-command", path)] {
        let pid = client.execute(id, command, "", output, &[]).unwrap();
        client.wait_ended(id, pid);
    }
    let _ = client
        .execute(id, "true", "/no/such", path, &[])
        .unwrap_err();
    client.bind_mount(id, "/tmp", "/mnt/x", true).unwrap();
    let _ = client.bind_mount(id, "/tmp", "/mnt/x", true).unwrap_err();
    let running = client.execute(id, "sleep 100", "", path, &[]).unwrap();
    let cgroups = cgroups_of(running);
    assert!(!cgroups.is_empty());
    client.suspend(id).unwrap();
    client.resume(id).unwrap();
    client.destroy(id).unwrap();
    client.wait_ended(id, running);
    assert!(!cgroups.iter().any(Cgroup::exists), "{cgroups:?}");
}

#[test]
fn cycles_of_create_execute_and_destroy_leave_nothing() {
    let agent = TestAgent::start();
    for _ in 0..20 {
        cycle(&agent);
    }
    // Worker threads end after a while without work.
    let idle = |agent: &TestAgent| {
        std::thread::sleep(Duration::from_millis(1500));
        (counts(agent), memory(agent))
    };
    let (before, memory_before) = idle(&agent);
    for _ in 0..CYCLES {
        cycle(&agent);
    }
    wait_until("everything is as before", || {
        counts(&agent) == before || {
            std::thread::sleep(Duration::from_millis(200));
            false
        }
    });
    let (after, memory_after) = idle(&agent);
    assert_eq!(after, before);
    assert!(
        memory_after < memory_before + 512,
        "the agent's own memory grew from {memory_before} to {memory_after} KiB"
    );
    assert!(agent.client().unclaimed().is_empty());
}

#[test]
fn creates_that_fail_in_lxc_leave_nothing() {
    let directory = tempfile::TempDir::new().unwrap();
    let extra = directory.path().join("extra.conf");
    // Before LXC has made anything but the monitor's cgroups, and when nearly everything is made.
    for hook in ["pre-start", "start"] {
        fs::write(&extra, format!("lxc.hook.{hook} = /no/such/hook\n")).unwrap();
        let agent = TestAgent::with(&Setup {
            config: format!("deprecated-lxc-config-path = {}\n", extra.display()),
            ..Setup::default()
        });
        let fail = || agent.client().create("[]").unwrap_err();
        let (_, message) = fail();
        assert!(message.contains("SC-0"), "{message}");
        std::thread::sleep(Duration::from_millis(1500));
        let before = counts(&agent);
        for _ in 0..10 {
            let _ = fail();
        }
        wait_until("everything is as before", || {
            std::thread::sleep(Duration::from_millis(200));
            counts(&agent) == before
        });
        let left = cgroups_named(&format!("SC-0.{}.", agent.pid()));
        assert!(left.is_empty(), "with the hook {hook}: {left:?}");
        assert!(agent.mounts().iter().all(|mount| !mount.contains("SC-")));
    }
}

/// The cgroups of all hierarchies whose names contain `part`.
fn cgroups_named(part: &str) -> Vec<PathBuf> {
    fn look(directory: &Path, part: &str, depth: usize, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
            if !entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                continue;
            }
            if entry.file_name().to_string_lossy().contains(part) {
                found.push(entry.path());
            }
            if depth > 0 {
                look(&entry.path(), part, depth - 1, found);
            }
        }
    }
    let mut found = Vec::new();
    look(Path::new("/sys/fs/cgroup"), part, 3, &mut found);
    found
}

#[test]
fn creates_that_fail_leave_nothing() {
    let agent = TestAgent::start();
    let tiny = r#"[{"writeBufferEnabled": false, "temporaryFileSystemWriteBufferEnabled": true, "temporaryFileSystemSize": 4096}]"#;
    let fail = |count| {
        for _ in 0..count {
            let _ = agent.client().create(tiny).unwrap_err();
            let _ = agent.client().create("[{}]").unwrap_err();
        }
    };
    fail(5);
    std::thread::sleep(Duration::from_millis(1500));
    let before = counts(&agent);
    fail(50);
    wait_until("everything is as before", || {
        std::thread::sleep(Duration::from_millis(200));
        counts(&agent) == before
    });
}
