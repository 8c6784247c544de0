//! Create, Destroy, Suspend, Resume, List: IDs, states, and what is left.

use std::{
    process::Command,
    sync::Barrier,
    time::{Duration, Instant},
};

use crate::{
    fails_with,
    support::{Arrival, Cgroup, Setup, TestAgent, cgroups_of, is_alive, signal, wait_until},
};

#[test]
fn ids_are_the_lowest_free_ones() {
    let agent = TestAgent::start();
    let client = agent.client();
    assert!(client.list().unwrap().is_empty());
    assert_eq!([agent.create(), agent.create(), agent.create()], [0, 1, 2]);
    assert_eq!(client.list().unwrap(), [0, 1, 2]);
    client.destroy(1).unwrap();
    assert_eq!(client.list().unwrap(), [0, 2]);
    assert_eq!(agent.create(), 1);
    assert_eq!(agent.create(), 3);
}

#[test]
fn an_id_that_no_container_has_is_an_error_of_every_call() {
    let agent = TestAgent::start();
    let client = agent.client();
    let destroyed = agent.create();
    client.destroy(destroyed).unwrap();
    for id in [-1, i32::MIN, i32::MAX, 17, destroyed] {
        let named = format!("ID {id}");
        let named = [named.as_str()];
        fails_with(client.destroy(id), &named);
        fails_with(client.suspend(id), &named);
        fails_with(client.resume(id), &named);
        fails_with(client.bind_mount(id, "/tmp", "/mnt", false), &named);
        fails_with(client.set_capabilities(id, &[]), &named);
        fails_with(client.execute(id, "true", "", "", &[]), &named);
    }
    assert!(client.list().unwrap().is_empty());
}

#[test]
fn a_suspended_container_does_nothing_until_it_is_resumed() {
    let agent = TestAgent::start();
    let client = agent.client();
    let id = agent.create();
    fails_with(client.resume(id), &["container 0", "resume", "ready"]);
    let count = agent.path("count");
    let counter = "sh -c 'while :; do echo; usleep 1000; done'";
    let pid = client
        .execute(id, counter, "", count.to_str().unwrap(), &[])
        .unwrap();
    let size = || std::fs::metadata(&count).map_or(0, |metadata| metadata.len());
    wait_until("the app counts", || size() > 10);

    client.suspend(id).unwrap();
    let frozen = size();
    std::thread::sleep(Duration::from_millis(100));
    assert_eq!(size(), frozen);
    let state = ["container 0", "suspended"];
    fails_with(client.suspend(id), &state);
    fails_with(client.execute(id, "true", "", "", &[]), &state);
    fails_with(client.bind_mount(id, "/tmp", "/mnt/x", false), &state);
    fails_with(client.set_capabilities(id, &[]), &state);
    fails_with(client.set_capabilities(id, &["x"]), &state);
    assert_eq!(client.list().unwrap(), [id]);

    client.resume(id).unwrap();
    wait_until("the app counts again", || size() > frozen + 10);
    fails_with(client.resume(id), &["container 0", "resume", "ready"]);
    assert!(is_alive(pid));
    assert_eq!(agent.shell_ok(id, "echo back"), "back");
}

/// An agent that gives processes this long to end; who waits for it is found out.
const TIME_OUT: Duration = Duration::from_secs(60);

fn patient() -> TestAgent {
    TestAgent::with(&Setup {
        config: format!("shutdown-timeout = {}", TIME_OUT.as_secs()),
        ..Setup::default()
    })
}

#[test]
fn a_suspended_container_can_be_destroyed() {
    let agent = patient();
    let client = agent.client();
    let id = agent.create();
    let pid = client.execute(id, "sleep 100", "", "", &[]).unwrap();
    client.suspend(id).unwrap();
    client.destroy(id).unwrap();
    // SIGTERM: the time-out was not waited for.
    assert_eq!(client.wait_ended(id, pid).exit_code, 15);
    assert!(agent.mounts().is_empty());
}

#[test]
fn destroy_kills_what_does_not_end_by_itself() {
    let agent = TestAgent::with(&Setup {
        config: "shutdown-timeout = 1".to_owned(),
        ..Setup::default()
    });
    let client = agent.client();
    let id = agent.create();
    let output = agent.path("stubborn");
    let stubborn = "sh -c 'trap \"\" TERM; echo ready; while :; do sleep 1; done'";
    let pid = client
        .execute(id, stubborn, "", output.to_str().unwrap(), &[])
        .unwrap();
    let polite = "sh -c 'trap \"exit 7\" TERM; while :; do sleep 0.01; done'";
    let polite = client.execute(id, polite, "", "", &[]).unwrap();
    wait_until("the trap is set", || {
        std::fs::read_to_string(&output).is_ok_and(|text| text.contains("ready"))
    });
    std::thread::sleep(Duration::from_millis(200));
    let started = Instant::now();
    client.destroy(id).unwrap();
    let took = started.elapsed();
    assert!(took >= Duration::from_secs(1), "{took:?}");
    assert_eq!(client.wait_ended(id, pid).exit_code, 9, "SIGKILL");
    assert_eq!(client.wait_ended(id, polite).exit_code, 7 << 8, "exit 7");
    assert!(!is_alive(pid));
}

#[test]
fn a_process_that_just_ended_does_not_hold_up_destroy() {
    let agent = patient();
    let client = agent.client();
    for _ in 0..5 {
        let id = agent.create();
        for _ in 0..5 {
            client.execute(id, "true", "", "", &[]).unwrap();
        }
        let started = Instant::now();
        client.destroy(id).unwrap();
        let took = started.elapsed();
        assert!(took * 2 < TIME_OUT, "{took:?}");
    }
}

#[test]
fn every_end_is_told_before_the_reply_of_destroy_and_none_after() {
    let agent = TestAgent::start();
    let client = agent.client();
    for _ in 0..3 {
        let id = agent.create();
        let pids: Vec<u32> = (0..20)
            .map(|_| client.execute(id, "sleep 100", "", "", &[]).unwrap())
            .collect();
        client.destroy(id).unwrap();
        // The next container has the same ID.
        assert_eq!(agent.create(), id);
        let arrivals = client.arrivals();
        let replied = arrivals
            .iter()
            .rposition(|arrival| *arrival == Arrival::Reply(None))
            .unwrap();
        for pid in pids {
            client.wait_ended(id, pid);
            let arrivals = client.arrivals();
            let told: Vec<usize> = (0..arrivals.len())
                .filter(
                    |&index| matches!(arrivals[index], Arrival::Ended(ended) if ended.pid == pid),
                )
                .collect();
            let [told] = told[..] else {
                panic!("told {} times", told.len())
            };
            assert!(told < replied, "{arrivals:?}");
        }
        client.destroy(id).unwrap();
    }
}

#[test]
fn nothing_of_a_destroyed_container_is_left() {
    let agent = TestAgent::start();
    let client = agent.client();
    let links = || {
        String::from_utf8(
            Command::new("ip")
                .args(["-br", "link"])
                .output()
                .unwrap()
                .stdout,
        )
        .unwrap()
        .lines()
        .filter(|line| line.contains(&agent.bridge))
        .count()
    };
    // The bridge is there at the latest when the first container is.
    client.destroy(agent.create()).unwrap();
    let before = links();
    let id = agent.create();
    assert!(agent.path("lxc/SC-0/config").exists());
    let init = agent.init_pid(id);
    let cgroups = cgroups_of(init);
    assert!(!cgroups.is_empty());
    let files = agent.path("files");
    std::fs::create_dir(&files).unwrap();
    client
        .bind_mount(id, files.to_str().unwrap(), "/mnt/files", false)
        .unwrap();
    assert_eq!(links(), before + 1);
    client.destroy(id).unwrap();
    assert_eq!(links(), before);
    assert!(!is_alive(init));
    assert!(!agent.path("lxc/SC-0").exists());
    assert!(!agent.container_dir(id).exists());
    assert!(agent.mounts().is_empty(), "{:?}", agent.mounts());
    assert!(files.exists());
    assert!(!cgroups.iter().any(Cgroup::exists), "{cgroups:?}");
}

#[test]
fn ten_containers_are_created_at_the_same_time() {
    let agent = TestAgent::start();
    let start = Barrier::new(10);
    let mut ids: Vec<i32> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..10)
            .map(|_| {
                scope.spawn(|| {
                    let client = agent.new_client();
                    start.wait();
                    client.create("[]").unwrap()
                })
            })
            .collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .collect()
    });
    ids.sort_unstable();
    assert_eq!(ids, (0..10).collect::<Vec<_>>());
    for &id in &ids {
        assert_eq!(agent.shell_ok(id, "hostname"), "contained");
    }
    std::thread::scope(|scope| {
        for id in ids {
            scope.spawn({
                let agent = &agent;
                move || agent.new_client().destroy(id).unwrap()
            });
        }
    });
    assert!(agent.client().list().unwrap().is_empty());
    assert!(agent.mounts().is_empty(), "{:?}", agent.mounts());
}

#[test]
fn of_two_destroys_at_the_same_time_one_succeeds() {
    let agent = TestAgent::start();
    let id = agent.create();
    let start = Barrier::new(2);
    let done: usize = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..2)
            .map(|_| {
                scope.spawn(|| {
                    let client = agent.new_client();
                    start.wait();
                    usize::from(client.destroy(id).is_ok())
                })
            })
            .collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .sum()
    });
    assert_eq!(done, 1);
}

#[test]
fn a_container_whose_init_was_killed_can_only_be_destroyed() {
    let agent = TestAgent::start();
    let client = agent.client();
    let id = agent.create();
    let pid = client.execute(id, "sleep 100", "", "", &[]).unwrap();
    signal(agent.init_pid(id), "KILL");
    assert_eq!(client.wait_ended(id, pid).exit_code, 9);
    fails_with(client.execute(id, "true", "", "", &[]), &["container 0"]);
    fails_with(
        client.bind_mount(id, "/tmp", "/mnt", false),
        &["container 0"],
    );
    fails_with(client.suspend(id), &["container 0"]);
    client.destroy(id).unwrap();
    assert!(agent.mounts().is_empty(), "{:?}", agent.mounts());
    assert_eq!(agent.create(), id);
    assert_eq!(agent.shell_ok(id, "echo new"), "new");
}

#[test]
fn the_tools_of_lxc_know_a_container() {
    let agent = TestAgent::start();
    let id = agent.create();
    let path = agent.path("lxc");
    let run = |program: &str, arguments: &[&str]| {
        let output = Command::new(program)
            .args(["-P", path.to_str().unwrap()])
            .args(arguments)
            .output()
            .unwrap();
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    };
    assert_eq!(run("lxc-ls", &[]), "SC-0");
    assert_eq!(run("lxc-info", &["-n", "SC-0", "-s", "-H"]), "RUNNING");
    assert_eq!(
        run("lxc-attach", &["-n", "SC-0", "--", "hostname"]),
        "contained"
    );
    agent.client().suspend(id).unwrap();
    assert_eq!(run("lxc-info", &["-n", "SC-0", "-s", "-H"]), "FROZEN");
}

#[test]
fn a_container_whose_last_process_has_ended_is_destroyed_where_that_is_configured() {
    let agent = TestAgent::with(&Setup {
        config: "destroy-when-ended = true".to_owned(),
        ..Setup::default()
    });
    let (client, unused) = (agent.client(), agent.create());
    let id = agent.create();
    let home = agent.path("home");
    std::fs::create_dir(&home).unwrap();
    client
        .bind_mount(id, home.to_str().unwrap(), "/home/app", false)
        .unwrap();
    let long = client.execute(id, "sleep 1000", "", "", &[]).unwrap();
    agent.shell_ok(id, "touch /home/app/file");
    // Another one runs.
    assert_eq!(agent.shell_ok(id, "echo still here"), "still here");
    signal(long, "TERM");
    client.wait_ended(id, long);
    wait_until("the container is destroyed", || {
        client.list().unwrap() == [unused]
    });
    assert!(home.join("file").exists());
    assert!(!agent.container_dir(id).exists());
    // One in which nothing has run is kept.
    agent.client().destroy(unused).unwrap();
}

#[test]
fn a_container_whose_processes_have_ended_is_kept_by_default() {
    let agent = TestAgent::start();
    let id = agent.create();
    agent.shell_ok(id, "true");
    assert_eq!(agent.shell_ok(id, "echo still here"), "still here");
    assert_eq!(agent.client().list().unwrap(), [id]);
}
