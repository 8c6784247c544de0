//! What all containers together may have of the machine.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::{fs, path::PathBuf, process::Command};

use softwarecontainer_agent::host::{
    cgroup::{
        Cgroups, Version,
        members::{parent_of, pidfd, remove},
        memory::of_machine,
        read, vacate, write,
    },
    wait,
};
use support::{PATIENCE, Setup, TestAgent, wait_until};

fn with_config(config: &str) -> TestAgent {
    TestAgent::with(&Setup {
        config: config.to_owned(),
        ..Setup::default()
    })
}

/// The cgroup of `controller` that holds those of the containers, found by one of them.
fn parent(agent: &TestAgent, id: i32, controller: &str) -> PathBuf {
    let cgroups = Cgroups::of_process(agent.init_pid(id)).unwrap();
    let directory = cgroups.directory(controller).unwrap();
    assert!(directory.ends_with(format!("SC-{id}")), "{directory:?}");
    directory.parent().unwrap().to_owned()
}

/// The value of one of two files: that of v1 or that of v2.
fn value(agent: &TestAgent, id: i32, controller: &str, files: [&str; 2]) -> String {
    let version = Cgroups::of_process(agent.init_pid(id))
        .unwrap()
        .version(controller);
    let file = match version.expect(controller) {
        Version::V1 => files[0],
        Version::V2 => files[1],
    };
    read(&parent(agent, id, controller).join(file)).unwrap()
}

fn memory_limit(agent: &TestAgent, id: i32) -> String {
    value(agent, id, "memory", ["memory.limit_in_bytes", "memory.max"])
}

fn quota(agent: &TestAgent, id: i32) -> String {
    value(agent, id, "cpu", ["cpu.cfs_quota_us", "cpu.max"])
}

/// How many processes the kernel has killed in a container because memory was short.
fn killed(agent: &TestAgent, id: i32) -> u64 {
    let container = parent(agent, id, "memory").join(format!("SC-{id}"));
    let events = ["memory.events", "memory.oom_control"];
    let text = events
        .iter()
        .find_map(|file| read(&container.join(file)).ok());
    let text = text.unwrap();
    let count = text.lines().find_map(|line| line.strip_prefix("oom_kill "));
    count.unwrap().parse().unwrap()
}

fn processors() -> u64 {
    let text = fs::read_to_string("/proc/cpuinfo").unwrap();
    let count = text
        .lines()
        .filter(|it| it.starts_with("processor"))
        .count();
    u64::try_from(count).unwrap()
}

#[test]
fn all_containers_are_in_one_cgroup_whose_bounds_the_configuration_says() {
    let mut agent =
        with_config("total-memory = 60\ntotal-processes = 40\ntotal-cpu = 70\ncpuset = 0\n");
    let (first, second) = (agent.create(), agent.create());
    for controller in ["memory", "cpu", "pids", "cpuset", "freezer"] {
        let both = [first, second].map(|id| parent(&agent, id, controller));
        assert_eq!(both[0], both[1]);
    }
    // The kernel counts in pages.
    let limit: u64 = memory_limit(&agent, first).parse().unwrap();
    let wanted = of_machine() / 100 * 60;
    assert!(limit.abs_diff(wanted) < 65536, "{limit} for {wanted}");
    let max = value(&agent, first, "pids", ["pids.max"; 2]);
    assert!(max.parse::<u64>().unwrap() > 1000, "{max}");
    let wanted = (processors() * 70_000).to_string();
    assert!(quota(&agent, first).starts_with(&wanted));
    let status = agent.shell_ok(second, "grep Cpus_allowed_list /proc/self/status");
    assert_eq!(status.split_whitespace().last(), Some("0"), "{status}");

    // The next agent takes back what its configuration does not say.
    let left = parent(&agent, first, "memory");
    agent.kill();
    fs::write(
        agent.path("config"),
        fs::read_to_string(agent.path("config"))
            .unwrap()
            .replace("total-cpu = 70\ncpuset = 0\n", ""),
    )
    .unwrap();
    agent.start_agent();
    let id = agent.create();
    assert_eq!(parent(&agent, id, "memory"), left);
    assert!(!quota(&agent, id).starts_with(&wanted));
    let status = agent.shell_ok(id, "grep Cpus_allowed_list /proc/self/status");
    let own = fs::read_to_string("/proc/1/status").unwrap();
    assert!(own.contains(status.trim()), "{status}");

    assert_eq!(agent.stop(), Some(0), "{}", agent.log());
    assert!(!left.exists(), "{left:?}");
}

/// Each alone stays within what a container may have.
#[test]
fn containers_that_want_too_much_together_lose_processes_and_the_agent_does_not() {
    let bound = 300 << 20;
    let percent = (bound * 100_u64).div_ceil(of_machine());
    let limit = of_machine() / 100 * percent;
    let agent = with_config(&format!(
        "total-memory = {percent}\nmax-memory-share = 90\noom-group = false\n"
    ));
    let part = limit * 7 / 10;
    let hungry = [agent.create(), agent.create()];
    for id in hungry {
        // It holds a block that nobody takes.
        let command = format!("sh -c 'dd if=/dev/zero bs={part} count=1 | sleep 1000'");
        agent.client().execute(id, &command, "", "", &[]).unwrap();
    }
    wait_until("the kernel has killed", || {
        hungry.iter().any(|id| killed(&agent, *id) > 0)
    });
    let usage = value(
        &agent,
        hungry[0],
        "memory",
        ["memory.max_usage_in_bytes", "memory.current"],
    );
    assert!(usage.parse::<u64>().unwrap() <= limit, "{usage} of {limit}");
    assert_eq!(agent.client().list().unwrap().len(), 2);
}

/// Somebody who tidies up may find them empty.
#[test]
fn the_cgroup_of_all_is_made_anew_with_its_bounds_when_it_was_removed() {
    let agent = with_config("total-memory = 50\n");
    let id = agent.create();
    let (limit, directory) = (memory_limit(&agent, id), parent(&agent, id, "memory"));
    agent.client().destroy(id).unwrap();
    fs::remove_dir(&directory).unwrap();
    let id = agent.create();
    assert_eq!(parent(&agent, id, "memory"), directory);
    assert_eq!(memory_limit(&agent, id), limit);
}

#[test]
fn a_processor_that_the_machine_does_not_have_is_a_mistake_that_is_told() {
    let agent = with_config("cpuset = 8000\n");
    // In v2 the kernel takes any, and those that there are of it.
    if let Err((_, message)) = agent.client().create("[]") {
        assert!(
            message.contains("cpuset.cpus") && message.contains("8000"),
            "{message}"
        );
    }
}

/// LXC's monitors do not count among apps.
#[test]
fn monitors_are_outside_of_what_bounds_the_apps() {
    let agent = with_config("");
    let id = agent.create();
    let init = agent.init_pid(id);
    let monitor = parent_of(init).unwrap();
    let of_monitor = Cgroups::of_process(monitor)
        .unwrap()
        .directory("memory")
        .unwrap();
    let of_apps = parent(&agent, id, "memory");
    assert!(!of_monitor.starts_with(&of_apps), "{of_monitor:?}");
    assert_eq!(of_monitor.parent().unwrap().parent(), of_apps.parent());
    let process = pidfd(monitor).unwrap();
    agent.client().destroy(id).unwrap();
    assert!(wait::ended(&process, *PATIENCE));
    assert!(!of_monitor.exists());
}

/// A slow start of another container leaves the agent itself in the cgroup of the monitor, and
/// whatever is in it for another reason does not keep it.
#[test]
fn processes_in_the_cgroup_of_a_monitor_keep_no_container_from_being_destroyed() {
    let agent = with_config("");
    let own = Cgroups::of_process(agent.pid()).unwrap();
    for wanted in ["the agent", "another"] {
        let id = agent.create();
        wait_until("the agent is back", || {
            Cgroups::of_process(agent.pid()).unwrap() == own
        });
        let monitor = Cgroups::of_process(parent_of(agent.init_pid(id)).unwrap()).unwrap();
        let directory = monitor.directory("memory").unwrap();
        assert!(directory.ends_with(format!("SC-{id}")), "{directory:?}");
        let mut other = Command::new("sleep").arg("1000").spawn().unwrap();
        let process = if wanted == "the agent" {
            agent.pid()
        } else {
            other.id()
        };
        write(&directory.join("cgroup.procs"), &process.to_string()).unwrap();
        let destroyed = agent.client().destroy(id);
        let _ = other.kill();
        other.wait().unwrap();
        destroyed.unwrap();
        assert!(!directory.exists(), "{wanted}");
    }
    assert_eq!(Cgroups::of_process(agent.pid()).unwrap(), own);
}

/// As systemd starts that of the containers' unit.
#[test]
fn a_process_of_a_delegated_cgroup_leaves_it_and_stays_below() {
    let root = Cgroups::of_process(1).unwrap().unified().unwrap();
    let unit = root.join(format!("sct-{}", std::process::id()));
    fs::create_dir(&unit).unwrap();
    let mut process = Command::new("sleep").arg("1000").spawn().unwrap();
    write(&unit.join("cgroup.procs"), &process.id().to_string()).unwrap();
    for _ in 0..2 {
        vacate(&unit).unwrap();
        let own = Cgroups::of_process(process.id()).unwrap();
        assert_eq!(own.unified(), Some(unit.join("keeper")));
    }
    process.kill().unwrap();
    process.wait().unwrap();
    remove(&unit).unwrap();
}
