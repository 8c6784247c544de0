//! What a container's memory is bounded by when nobody asked for a bound.

#![cfg(feature = "gateway-cgroups")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::fs;

use softwarecontainer_agent::host::cgroup::{Cgroups, Version, read};
use support::{Setup, TestAgent, is_alive, wait_until};

fn manifest() -> String {
    let capability = |name: &str, limit: &str| {
        format!(
            r#"{{"name": "{name}", "gateways": [{{"id": "cgroups", "config":
            [{{"setting": "memory.limit_in_bytes", "value": "{limit}"}}]}}]}}"#
        )
    };
    let (small, large) = (capability("small", "64M"), capability("large", "1048576G"));
    let tiny = capability("tiny", "16M");
    format!(r#"{{"version": "1", "capabilities": [{small}, {large}, {tiny}]}}"#)
}

/// The limit of the container that `shell` runs in, by the process ID that the host sees.
fn limit(agent: &TestAgent, id: i32) -> u64 {
    let pid = agent
        .client()
        .execute(id, "/bin/sleep 100", "", "", &[])
        .unwrap();
    let cgroups = Cgroups::of_process(pid).unwrap();
    let file = match cgroups.version("memory").expect("a memory controller") {
        Version::V1 => "memory.limit_in_bytes",
        Version::V2 => "memory.max",
    };
    let text = read(&cgroups.directory("memory").unwrap().join(file)).unwrap();
    text.parse().unwrap()
}

/// Whether the agent, which has what the test has, may bind apps to what it writes.
fn has_sys_resource() -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    u64::from_str_radix(line.unwrap().trim(), 16).unwrap() & 1 << 24 != 0
}

fn total() -> u64 {
    let text = fs::read_to_string("/proc/meminfo").unwrap();
    let line = text
        .lines()
        .find(|line| line.starts_with("MemTotal:"))
        .unwrap();
    line.split_whitespace()
        .nth(1)
        .unwrap()
        .parse::<u64>()
        .unwrap()
        * 1024
}

#[test]
fn a_container_has_a_share_of_the_memory_unless_a_capability_says_otherwise() {
    let agent = TestAgent::with(&Setup {
        config: "max-memory-share = 25\noom-score-adjust = 321\n".to_owned(),
        ..Setup::manifest(&manifest())
    });
    let id = agent.create();
    let quarter = limit(&agent, id);
    assert!(
        quarter.abs_diff(total() / 4) < total() / 50,
        "{quarter} of {}",
        total()
    );
    agent.client().set_capabilities(id, &["small"]).unwrap();
    assert_eq!(limit(&agent, id), 64 << 20);
    let other = agent.create();
    agent.client().set_capabilities(other, &["large"]).unwrap();
    assert!(limit(&agent, other) > total());
    // Whom the kernel takes first, and an app has no say in that.
    assert_eq!(
        agent.shell_ok(id, "cat /proc/self/oom_score_adj").trim(),
        "321"
    );
    if has_sys_resource() {
        let (status, _) = agent.shell(id, "echo 0 > /proc/self/oom_score_adj");
        assert_ne!(status, 0);
    }
}

/// It holds a block that nobody takes, and is killed; a process beside it needs nothing.
fn killed_and_beside_it(agent: &TestAgent, id: i32) -> [u32; 2] {
    let start = |command: &str| agent.client().execute(id, command, "", "", &[]).unwrap();
    let beside = start("/bin/sleep 1000");
    let hog = start("dd if=/dev/zero of=/dev/null bs=400M count=1");
    wait_until("the kernel has killed", || !is_alive(hog));
    [hog, beside]
}

/// With v1 the kernel kills one process in any case.
#[test]
fn the_kernel_kills_the_whole_of_a_container_unless_it_is_told_otherwise() {
    for wanted in [true, false] {
        let agent = TestAgent::with(&Setup {
            config: format!("oom-group = {wanted}\n"),
            ..Setup::manifest(&manifest())
        });
        let id = agent.create();
        agent.client().set_capabilities(id, &["small"]).unwrap();
        let version = Cgroups::of_process(agent.init_pid(id))
            .unwrap()
            .version("memory");
        let [_, beside] = killed_and_beside_it(&agent, id);
        if wanted && version == Some(Version::V2) {
            wait_until("the other is killed as well", || !is_alive(beside));
            assert!(agent.client().execute(id, "true", "", "", &[]).is_err());
        } else {
            assert!(is_alive(beside));
            agent.shell_ok(id, "true");
        }
        agent.client().destroy(id).unwrap();
    }
}

/// Each of the app's processes is smaller than the init.
#[test]
fn an_init_is_not_killed_instead_of_an_app_that_uses_up_the_containers_memory() {
    let agent = TestAgent::with(&Setup {
        config: "oom-group = false\n".to_owned(),
        ..Setup::manifest(&manifest())
    });
    let id = agent.create();
    agent.client().set_capabilities(id, &["tiny"]).unwrap();
    let killed = || {
        let directory = Cgroups::of_process(agent.init_pid(id))
            .unwrap()
            .directory("memory")
            .unwrap();
        let files = ["memory.events", "memory.oom_control"];
        let text = files.iter().find_map(|it| read(&directory.join(it)).ok());
        let count = |line: &str| line.strip_prefix("oom_kill ")?.parse::<u32>().ok();
        text.unwrap().lines().find_map(count).unwrap()
    };
    let init = agent.init_pid(id);
    let bomb = "sh -c 'while :; do sleep 1000 & done'";
    for _ in 0..3 {
        let before = killed();
        agent.client().execute(id, bomb, "", "", &[]).unwrap();
        wait_until("the kernel has killed", || {
            !is_alive(init) || killed() > before
        });
    }
    assert!(is_alive(init));
    agent.client().destroy(id).unwrap();
}

/// It may start, in the host's IPC namespace as well, only what the kernel kills first.
#[test]
fn what_an_init_that_is_spared_starts_is_not_spared() {
    let agent = TestAgent::start();
    let id = agent.create();
    let score = |pid: u32| fs::read_to_string(format!("/proc/{pid}/oom_score_adj")).unwrap();
    for _ in 0..3 {
        let pid = agent
            .client()
            .execute(id, "sleep 100", "", "", &[])
            .unwrap();
        assert_eq!(score(pid).trim(), "500");
    }
    assert_eq!(score(agent.init_pid(id)).trim(), "0");
}
