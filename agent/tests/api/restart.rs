//! How the agent ends, and what the next one makes of what is left.

use std::{fs, os::fd::OwnedFd, time::Duration};

use rustix::process::{Pid, PidfdFlags, PidfdGetfdFlags, pidfd_getfd, pidfd_open};

use crate::support::{Setup, TestAgent, is_alive, signal, wait_until};

#[test]
fn sigterm_ends_every_container_and_the_agent_with_status_0() {
    let mut agent = TestAgent::start();
    let first = agent.create();
    let second = agent.create();
    let pid = agent
        .client()
        .execute(first, "sleep 100", "", "", &[])
        .unwrap();
    agent.client().suspend(second).unwrap();
    let inits = [agent.init_pid(first), agent.init_pid(second)];
    assert_eq!(agent.stop(), Some(0), "{}", agent.log());
    for process in [pid, inits[0], inits[1]] {
        assert!(!is_alive(process), "{process}");
    }
    assert!(agent.mounts().is_empty(), "{:?}", agent.mounts());
    assert_eq!(names(&agent, "lxc"), [""; 0]);
    let left = names(&agent, "mounts");
    assert!(!left.iter().any(|name| name.starts_with("SC-")), "{left:?}");
    assert!(!has_bridge(&agent));
}

#[test]
fn sigint_does_the_same() {
    let mut agent = TestAgent::start();
    agent.create();
    signal(agent.pid(), "INT");
    assert_eq!(agent.wait_agent(), Some(0));
    assert!(agent.mounts().is_empty(), "{:?}", agent.mounts());
}

#[test]
fn sigterm_in_the_middle_of_creates_leaves_nothing() {
    let mut agent = TestAgent::start();
    let (created, first) = std::sync::mpsc::channel();
    let callers: Vec<_> = (0..4)
        .map(|_| {
            let (client, created) = (agent.new_client(), created.clone());
            std::thread::spawn(move || {
                loop {
                    match client.create("[]") {
                        Ok(_) => created.send(()).unwrap(),
                        Err(error) => return error,
                    }
                }
            })
        })
        .collect();
    first.recv().unwrap();
    assert_eq!(agent.stop(), Some(0), "{}", agent.log());
    for caller in callers {
        let (name, message) = caller.join().unwrap();
        let is_told = message.contains("the agent is stopping");
        // One whose call came after the end has nobody to answer it.
        assert!(is_told || !name.ends_with(".Failed"), "{name}: {message}");
    }
    assert!(agent.mounts().is_empty(), "{:?}", agent.mounts());
    assert_eq!(names(&agent, "lxc"), [""; 0]);
    assert!(!has_bridge(&agent));
}

#[test]
fn calls_that_come_during_a_stop_are_told_of_it() {
    let mut agent = TestAgent::with(&Setup {
        config: "shutdown-timeout = 2".to_owned(),
        ..Setup::default()
    });
    let id = agent.create();
    let output = agent.path("stubborn");
    let command = "sh -c 'trap \"\" TERM; echo ready; while :; do sleep 1; done'";
    let client = agent.client();
    client
        .execute(id, command, "", output.to_str().unwrap(), &[])
        .unwrap();
    wait_until("the trap is set", || {
        fs::read_to_string(&output).is_ok_and(|text| text.contains("ready"))
    });
    signal(agent.pid(), "TERM");
    wait_until("the stop has begun", || agent.log().contains("stopping"));
    for result in [
        client.create("[]").map(drop),
        client.suspend(id),
        client.execute(id, "true", "", "", &[]).map(drop),
    ] {
        let (_, message) = result.unwrap_err();
        assert!(message.contains("the agent is stopping"), "{message}");
    }
    assert_eq!(agent.wait_agent(), Some(0));
    assert!(agent.mounts().is_empty(), "{:?}", agent.mounts());
}

#[test]
fn an_agent_that_loses_its_bus_ends_its_containers_and_says_so() {
    let mut agent = TestAgent::start();
    agent.create();
    agent.kill_bus();
    let status = agent.wait_agent();
    assert!(status.is_some_and(|status| status != 0), "{status:?}");
    assert!(agent.mounts().is_empty(), "{:?}", agent.mounts());
    let log = agent.log();
    let last = log.lines().last().unwrap();
    assert!(
        last.contains("com.pelagicore.SoftwareContainerAgent"),
        "{log}"
    );
}

#[test]
fn an_agent_waits_for_the_name_of_a_killed_one_whose_connection_is_still_open() {
    let mut agent = TestAgent::start();
    // As a process has it that liblxc is about to make the monitor of a container.
    let inherited = sockets_of(agent.pid());
    assert!(!inherited.is_empty());
    agent.kill();
    let releaser = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(500));
        drop(inherited);
    });
    agent.start_agent();
    assert!(releaser.is_finished());
    assert_eq!(agent.create(), 0);
}

/// LXC's monitor is paused while its container's processes end, and would answer nobody.
#[test]
fn an_agent_that_is_killed_in_the_middle_of_a_destroy_leaves_nothing() {
    let mut agent = TestAgent::with(&Setup {
        config: "shutdown-timeout = 30".to_owned(),
        ..Setup::default()
    });
    let id = agent.create();
    let output = agent.path("stubborn");
    let command = "sh -c 'trap \"\" TERM; echo ready; while :; do sleep 1; done'";
    let client = agent.client();
    let pid = client
        .execute(id, command, "", output.to_str().unwrap(), &[])
        .unwrap();
    wait_until("the trap is set", || {
        fs::read_to_string(&output).is_ok_and(|text| text.contains("ready"))
    });
    let init = agent.init_pid(id);
    let status = fs::read_to_string(format!("/proc/{init}/status")).unwrap();
    let monitor = status
        .lines()
        .find_map(|line| line.strip_prefix("PPid:"))
        .unwrap();
    let destroying = agent.new_client();
    let destroying = std::thread::spawn(move || destroying.destroy(id));
    wait_until("the monitor is paused", || {
        let stat = fs::read_to_string(format!("/proc/{}/stat", monitor.trim())).unwrap();
        stat.contains(") T ")
    });
    agent.kill();
    assert!(destroying.join().unwrap().is_err());
    agent.start_agent();
    assert_eq!(agent.create(), 0);
    // Whoever was their parent is gone: the system's first process reaps them.
    wait_until("they are gone", || !is_alive(pid) && !is_alive(init));
    agent.client().destroy(0).unwrap();
    assert!(agent.mounts().iter().all(|mount| !mount.contains("SC-")));
}

/// Duplicates of the sockets that a process has (pidfd_getfd(2)).
fn sockets_of(pid: u32) -> Vec<OwnedFd> {
    let process = Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
    let process = pidfd_open(process, PidfdFlags::empty()).unwrap();
    let entries = fs::read_dir(format!("/proc/{pid}/fd")).unwrap();
    entries
        .flatten()
        .filter(|entry| {
            fs::read_link(entry.path())
                .is_ok_and(|target| target.to_string_lossy().starts_with("socket:"))
        })
        .map(|entry| {
            let number = entry.file_name().to_str().unwrap().parse().unwrap();
            pidfd_getfd(&process, number, PidfdGetfdFlags::empty()).unwrap()
        })
        .collect()
}

#[test]
fn what_a_killed_agent_left_is_removed_and_nothing_else() {
    let mut agent = TestAgent::start();
    let client = agent.client();
    let running = agent.create();
    let suspended = agent.create();
    let pid = client.execute(running, "sleep 100", "", "", &[]).unwrap();
    client
        .bind_mount(
            running,
            agent.path("manifests").to_str().unwrap(),
            "/mnt/x",
            false,
        )
        .unwrap();
    let frozen = client.execute(suspended, "sleep 100", "", "", &[]).unwrap();
    client.suspend(suspended).unwrap();
    // Others' containers and directories, with names that are nearly ours.
    let foreign = ["other", "SC-x", "SC-01", "SC-1-backup"];
    for name in foreign {
        fs::create_dir(agent.path("lxc").join(name)).unwrap();
        fs::write(
            agent.path("lxc").join(name).join("config"),
            "lxc.uts.name = x\n",
        )
        .unwrap();
        fs::create_dir(agent.path("mounts").join(name)).unwrap();
        fs::write(agent.path("mounts").join(name).join("data"), "precious").unwrap();
    }
    // A directory whose container is gone already.
    fs::create_dir_all(agent.path("mounts/SC-7/rootfs")).unwrap();
    fs::create_dir_all(agent.path("lxc/SC-8")).unwrap();

    agent.kill();
    agent.start_agent();

    assert!(agent.client().list().unwrap().is_empty());
    // Answering calls comes first: the first Create waits until all is removed.
    assert_eq!(agent.create(), 0);
    for process in [pid, frozen] {
        wait_until("what ran in old containers is gone", || !is_alive(process));
    }
    assert_eq!(agent.shell_ok(0, "test -e /mnt/x; echo $?"), "1");
    agent.client().destroy(0).unwrap();
    assert!(agent.mounts().is_empty(), "{:?}", agent.mounts());
    let mut wanted = foreign.map(str::to_owned).to_vec();
    wanted.sort();
    assert_eq!(names(&agent, "lxc"), wanted);
    let mut left = names(&agent, "mounts");
    left.retain(|name| name.starts_with("SC-") || name == "other");
    assert_eq!(left, wanted);
    for name in foreign {
        let data = agent.path("mounts").join(name).join("data");
        assert_eq!(fs::read_to_string(data).unwrap(), "precious");
    }
    assert_eq!(links(&agent), 1, "only the bridge");
}

/// What liblxc has forked off for it is no child of the agent's, and in no cgroup yet.
#[test]
fn a_start_that_a_killed_agent_had_begun_does_not_go_on() {
    let mut agent = TestAgent::start();
    let title = format!("[lxc monitor] {}", agent.path("lxc").display());
    let starting = || {
        let entries = fs::read_dir("/proc").unwrap().flatten();
        let mut pids = entries.filter_map(|it| it.file_name().to_str()?.parse::<u32>().ok());
        pids.find(|pid| {
            fs::read(format!("/proc/{pid}/cmdline"))
                .is_ok_and(|it| it.starts_with(title.as_bytes()))
        })
    };
    let client = agent.new_client();
    let creating = std::thread::spawn(move || client.create("[]"));
    let mut found = None;
    wait_until("the start has begun", || {
        found = starting();
        found.is_some()
    });
    let pid = found.unwrap();
    signal(pid, "STOP");
    agent.kill();
    assert!(creating.join().unwrap().is_err());
    agent.start_agent();
    assert_eq!(agent.create(), 0);
    wait_until("it is gone", || !is_alive(pid));
    agent.client().destroy(0).unwrap();
    assert_eq!(starting(), None);
    assert!(agent.mounts().is_empty(), "{:?}", agent.mounts());
}

/// Whether it was told by the killed agent or not, and whatever becomes of the next one.
#[test]
fn the_next_agent_tells_the_ends_that_a_killed_one_has_not_and_each_once() {
    let mut agent = TestAgent::start();
    let observer = agent.new_client();
    let id = agent.create();
    let client = agent.client();
    let ended = client.execute(id, "true", "", "", &[]).unwrap();
    let running = client.execute(id, "sleep 100", "", "", &[]).unwrap();
    let suspended = agent.create();
    let frozen = client.execute(suspended, "sleep 100", "", "", &[]).unwrap();
    client.suspend(suspended).unwrap();
    assert_eq!(observer.wait_ended(id, ended).exit_code, 0);
    let state = agent.path("mounts/state");
    wait_until("what was told is forgotten", || {
        let files = fs::read_dir(&state).unwrap().flatten();
        let texts = files.map(|file| fs::read_to_string(file.path()).unwrap_or_default());
        !texts
            .collect::<String>()
            .contains(&format!("process {ended} "))
    });
    agent.kill();
    // A process of the same number, but not the same.
    let own = std::process::id();
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap();
    let other =
        format!("softwarecontainer-state 2\nboot {boot}container 9\nnext 1\nprocess {own} 1 0\n");
    fs::write(state.join("SC-9-1"), other).unwrap();
    agent.start_agent();
    for (container, pid) in [(id, running), (suspended, frozen), (9, own)] {
        let end = observer.wait_ended(container, pid);
        assert_eq!((end.is_running, end.exit_code), (false, 9), "{end:?}");
    }
    agent.create();
    agent.kill();
    agent.start_agent();
    agent.create();
    assert_eq!(agent.stop(), Some(0));
    assert!(
        observer.unclaimed().is_empty(),
        "{:?}",
        observer.unclaimed()
    );
    assert_eq!(fs::read_dir(state).unwrap().count(), 0);
}

#[test]
fn agents_that_are_killed_again_and_again_leave_nothing() {
    let mut agent = TestAgent::start();
    for _ in 0..3 {
        assert_eq!([agent.create(), agent.create()], [0, 1]);
        agent.kill();
        agent.start_agent();
    }
    assert_eq!(agent.stop(), Some(0));
    assert!(agent.mounts().is_empty(), "{:?}", agent.mounts());
    assert_eq!(names(&agent, "lxc"), [""; 0]);
    assert!(!has_bridge(&agent));
}

/// The sorted names in a directory of the test, without the files that agents have for themselves.
fn names(agent: &TestAgent, directory: &str) -> Vec<String> {
    let entries = fs::read_dir(agent.path(directory)).unwrap();
    let mut names: Vec<String> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| !name.starts_with(".softwarecontainer-"))
        .collect();
    names.sort();
    names
}

fn has_bridge(agent: &TestAgent) -> bool {
    fs::metadata(format!("/sys/class/net/{}", agent.bridge)).is_ok()
}

/// How many network interfaces have to do with the agent: the bridge and the hosts' ends of
/// containers.
fn links(agent: &TestAgent) -> usize {
    fs::read_dir("/sys/class/net")
        .unwrap()
        .filter(|entry| {
            let name = entry.as_ref().unwrap().file_name();
            let name = name.to_str().unwrap();
            name == agent.bridge || name.ends_with(&format!("-{}", agent.bridge))
        })
        .count()
}
