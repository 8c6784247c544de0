//! Containers outlive the agent where somebody keeps its descriptors.

use std::{fs, path::PathBuf};

use serde_json::{Value, json};

use crate::{
    fails_with,
    support::{Setup, TestAgent, is_alive, signal, wait_until},
};

/// A manifest with one capability for each pair of a name and its gateways.
fn manifest(capabilities: &[(&str, &[(&str, Value)])]) -> String {
    let capabilities = capabilities.iter().map(|(name, gateways)| {
        let gateways = gateways.iter();
        let gateways = gateways.map(|(id, config)| json!({"id": id, "config": config}));
        json!({"name": name, "gateways": gateways.collect::<Vec<_>>()})
    });
    json!({"version": "1", "capabilities": capabilities.collect::<Vec<_>>()}).to_string()
}

fn supervised() -> TestAgent {
    TestAgent::with(&Setup {
        supervised: true,
        ..Setup::default()
    })
}

fn restart(agent: &mut TestAgent) {
    agent.kill();
    agent.start_agent();
}

#[test]
fn apps_of_a_killed_agent_go_on_and_their_ends_are_told_once_with_their_status() {
    let mut agent = supervised();
    let observer = agent.new_client();
    let id = agent.create();
    let output = agent.path("output");
    let script = "i=0; while test ! -e /tmp/end; do i=$((i+1)); echo $i; sleep 0.05; done; exit 7";
    let command = format!("sh -c '{script}'");
    let output_name = output.to_str().unwrap();
    let client = agent.client();
    let app = client.execute(id, &command, "", output_name, &[]).unwrap();
    let meanwhile = client
        .execute(
            id,
            "sh -c 'while test ! -e /tmp/m; do sleep 0.05; done; exit 3'",
            "",
            "",
            &[],
        )
        .unwrap();
    let init = agent.init_pid(id);
    agent.kill();
    fs::write(agent.container_dir(id).join("rootfs/tmp/m"), "").unwrap();
    wait_until("it has ended without an agent", || !is_alive(meanwhile));
    agent.start_agent();
    assert_eq!(agent.client().list().unwrap(), [id]);
    assert_eq!(observer.wait_ended(id, meanwhile).exit_code, 3 << 8);
    assert!(is_alive(app) && agent.init_pid(id) == init);
    let lines = || fs::read_to_string(&output).unwrap().lines().count();
    let before = lines();
    wait_until("it goes on to write", || lines() > before);
    // A second agent is nothing else.
    restart(&mut agent);
    assert_eq!(agent.shell_ok(id, "touch /tmp/end; echo done"), "done");
    assert_eq!(observer.wait_ended(id, app).exit_code, 7 << 8);
    assert_eq!(agent.create(), id + 1);
    agent.client().destroy(id).unwrap();
    agent.client().destroy(id + 1).unwrap();
    assert!(agent.supervisor().names().is_empty());
    assert!(
        agent.mounts().iter().all(|mount| !mount.contains("SC-")),
        "{:?}",
        agent.mounts()
    );
    assert_eq!(agent.stop(), Some(0));
    let unclaimed = observer.unclaimed();
    let of_apps = unclaimed
        .iter()
        .filter(|end| [app, meanwhile].contains(&end.pid));
    assert_eq!(of_apps.count(), 0, "{unclaimed:?}");
}

#[test]
fn a_suspended_container_stays_so_and_its_app_goes_on_when_it_is_resumed() {
    let mut agent = supervised();
    let id = agent.create();
    let output = agent.path("output");
    let command = "sh -c 'while :; do echo x; sleep 0.02; done'";
    let client = agent.client();
    client
        .execute(id, command, "", output.to_str().unwrap(), &[])
        .unwrap();
    let size = || fs::metadata(&output).unwrap().len();
    wait_until("it writes", || size() > 4);
    client.suspend(id).unwrap();
    let frozen = size();
    restart(&mut agent);
    fails_with(agent.client().suspend(id), &["suspended"]);
    assert_eq!(size(), frozen);
    agent.client().resume(id).unwrap();
    wait_until("it goes on", || size() > frozen);
    assert_eq!(agent.shell_ok(id, "echo ok"), "ok");
    agent.client().destroy(id).unwrap();
}

#[test]
fn mounts_and_buffered_files_outlive_the_agent() {
    let mut agent = supervised();
    let host = agent.path("host");
    for name in ["plain", "late"] {
        fs::create_dir_all(host.join(name)).unwrap();
    }
    let path = |name: &str| host.join(name).to_str().unwrap().to_owned();
    let client = agent.client();
    let id = client.create(r#"[{"writeBufferEnabled": true}]"#).unwrap();
    client
        .bind_mount(id, &path("plain"), "/mnt/p", false)
        .unwrap();
    agent.shell_ok(id, "echo one > /mnt/p/one");
    restart(&mut agent);
    agent.shell_ok(id, "test -e /mnt/p/one && echo two > /mnt/p/two");
    let again = agent
        .client()
        .bind_mount(id, &path("late"), "/mnt/p", false);
    fails_with(again, &["mount point"]);
    agent
        .client()
        .bind_mount(id, &path("late"), "/mnt/l", false)
        .unwrap();
    agent.shell_ok(id, "echo three > /mnt/l/three");
    assert!(!host.join("plain/one").exists());
    restart(&mut agent);
    agent.client().destroy(id).unwrap();
    for (file, content) in [
        ("plain/one", "one\n"),
        ("plain/two", "two\n"),
        ("late/three", "three\n"),
    ] {
        assert_eq!(fs::read_to_string(host.join(file)).unwrap(), content);
    }
}

#[test]
fn capabilities_go_on_and_grow_under_the_next_agent() {
    let file = |name: &str, host: &str| json!([{"path-host": host, "path-container": format!("/mnt/{name}"), "read-only": true}]);
    let variable = |name: &str, mode: &str| json!([{"name": name, "value": "x", "mode": mode, "separator": ":"}]);
    let mut setup = Setup::manifest(&manifest(&[
        (
            "org.first",
            &[
                ("file", file("usr", "/usr/share")),
                ("env", variable("PATHS", "append")),
                ("devicenode", json!([{"name": "/dev/fuse", "mode": 666}])),
                (
                    "cgroups",
                    json!([{"setting": "memory.limit_in_bytes", "value": "512M"}]),
                ),
                (
                    "network",
                    json!([{"direction": "OUTGOING", "allow": [{"host": "gateway", "protocols": "icmp"}]}]),
                ),
            ],
        ),
        (
            "org.second",
            &[
                ("file", file("etc", "/etc")),
                ("env", variable("MORE", "set")),
            ],
        ),
    ]));
    setup.supervised = true;
    let mut agent = TestAgent::with(&setup);
    let id = agent.create();
    agent.client().set_capabilities(id, &["org.first"]).unwrap();
    let look = "ls /mnt; echo $PATHS $MORE; ls -l /dev/fuse | cut -c1-10; ip -4 addr show eth0 | grep inet";
    let before = agent.shell_ok(id, look);
    assert!(
        before.contains("usr") && before.contains("crw-rw-rw-"),
        "{before}"
    );
    restart(&mut agent);
    assert_eq!(agent.shell_ok(id, look), before);
    agent.client().set_capabilities(id, &["org.first"]).unwrap();
    assert_eq!(agent.shell_ok(id, look), before);
    agent
        .client()
        .set_capabilities(id, &["org.second"])
        .unwrap();
    restart(&mut agent);
    let after = agent.shell_ok(id, look);
    assert!(after.contains("etc") && after.contains("x x"), "{after}");
    agent.client().destroy(id).unwrap();
    assert_eq!(agent.stop(), Some(0));
    assert!(agent.mounts().is_empty(), "{:?}", agent.mounts());
}

/// The file of the only container that has one.
fn state_file(agent: &TestAgent) -> PathBuf {
    let files = fs::read_dir(agent.path("mounts/state")).unwrap();
    let mut files = files.map(|file| file.unwrap().path());
    let first = files.next().unwrap();
    assert_eq!(files.next(), None);
    first
}

/// Whatever is wrong with the file, nothing is half there: the container is gone, and that is told.
#[test]
fn what_does_not_agree_is_destroyed_and_told() {
    type Spoil = fn(&str) -> String;
    let cases: [Spoil; 7] = [
        |text| text.replace(r#""version":1"#, r#""version":0"#),
        |text| text.replace(r#""version":1"#, r#""version":2"#),
        |text| text.replace(r#""init":{"pid":"#, r#""init":{"pid":1"#),
        |text| text.replace(r#""started":"#, r#""started":1"#),
        |text| text.replace(r#""bridge":"sc"#, r#""bridge":"xx"#),
        |text| {
            text.lines()
                .filter(|line| !line.starts_with("adopt"))
                .fold(String::new(), |all, line| all + line + "\n")
        },
        |text| text.replace(r#"adopt {"#, r#"adopt {{"#),
    ];
    let mut agent = supervised();
    for (index, spoil) in cases.into_iter().enumerate() {
        let observer = agent.new_client();
        let id = agent.create();
        assert_eq!(id, 0, "{index}");
        let pid = agent
            .client()
            .execute(id, "sleep 1000", "", "", &[])
            .unwrap();
        agent.kill();
        let path = state_file(&agent);
        let text = fs::read_to_string(&path).unwrap();
        assert_ne!(spoil(&text), text, "{index}");
        fs::write(&path, spoil(&text)).unwrap();
        agent.start_agent();
        assert_eq!(agent.client().list().unwrap(), [0; 0], "{index}");
        assert_eq!(observer.wait_ended(id, pid).exit_code, 9, "{index}");
        wait_until("it is gone", || !is_alive(pid));
        assert!(agent.supervisor().names().is_empty(), "{index}");
    }
    assert_eq!(agent.stop(), Some(0));
    assert!(agent.mounts().is_empty(), "{:?}", agent.mounts());
}

#[test]
fn without_the_descriptors_everything_is_destroyed_as_ever() {
    let mut agent = supervised();
    let observer = agent.new_client();
    let id = agent.create();
    let pid = agent
        .client()
        .execute(id, "sleep 1000", "", "", &[])
        .unwrap();
    agent.kill();
    agent.supervisor().flush();
    agent.start_agent();
    assert_eq!(observer.wait_ended(id, pid).exit_code, 9);
    assert_eq!(agent.create(), 0);
    assert_eq!(agent.shell_ok(0, "echo ok"), "ok");
}

/// An init that has ended has told more than its agent has heard.
#[test]
fn a_container_that_has_ended_meanwhile_is_gone_and_its_ends_have_their_status() {
    let mut agent = supervised();
    let observer = agent.new_client();
    let id = agent.create();
    let command = "sh -c 'while test ! -e /tmp/m; do sleep 0.02; done; exit 3'";
    let client = agent.client();
    let quits = client.execute(id, command, "", "", &[]).unwrap();
    let runs = client.execute(id, "sleep 1000", "", "", &[]).unwrap();
    let init = agent.init_pid(id);
    agent.kill();
    fs::write(agent.container_dir(id).join("rootfs/tmp/m"), "").unwrap();
    wait_until("it has ended", || !is_alive(quits));
    signal(init, "KILL");
    wait_until("all have ended", || !is_alive(runs));
    agent.start_agent();
    assert_eq!(observer.wait_ended(id, quits).exit_code, 3 << 8);
    assert_eq!(observer.wait_ended(id, runs).exit_code, 9);
    assert_eq!(agent.create(), id);
}

/// A call that the killed agent was at is done or undone, or its container is gone.
#[test]
fn an_agent_that_is_killed_again_and_again_in_the_middle_of_calls_loses_nothing_that_it_has_told() {
    let mut agent = supervised();
    let steady = agent.create();
    let output = agent.path("steady");
    let command = "sh -c 'while :; do echo x; sleep 0.02; done'";
    let app = agent
        .client()
        .execute(steady, command, "", output.to_str().unwrap(), &[])
        .unwrap();
    let size = || fs::metadata(&output).unwrap().len();
    for round in 0..12 {
        let busy = agent.create();
        let observer = agent.new_client();
        let caller = agent.new_client();
        let calls = std::thread::spawn(move || {
            let mut told = Vec::new();
            loop {
                match caller.execute(busy, "sleep 1000", "", "", &[]) {
                    Ok(pid) => told.push(pid),
                    Err(_) => return told,
                }
                if caller
                    .suspend(busy)
                    .and_then(|()| caller.resume(busy))
                    .is_err()
                {
                    return told;
                }
            }
        });
        std::thread::sleep(std::time::Duration::from_millis(7 * round));
        agent.kill();
        let told = calls.join().unwrap();
        agent.start_agent();
        let there = agent.client().list().unwrap();
        assert!(there.contains(&steady) && is_alive(app), "{round}");
        for &pid in &told {
            // Either it goes on, or its end is told.
            assert!(!there.contains(&busy) || is_alive(pid), "{round}");
        }
        let before = size();
        wait_until("the other app goes on", || size() > before);
        if there.contains(&busy) {
            let _ = agent.client().resume(busy);
            // What was started and never told was ended: the init and the shell are not counted.
            let count = "ls /proc | grep -c \"^[0-9]\"";
            wait_until("nobody else runs", || {
                agent.shell_ok(busy, count).parse::<usize>().unwrap() <= told.len() + 5
            });
            agent.client().destroy(busy).unwrap();
        }
        for pid in told {
            assert!(!observer.wait_ended(busy, pid).is_running);
        }
    }
    agent.client().destroy(steady).unwrap();
    assert_eq!(agent.stop(), Some(0));
    assert!(agent.mounts().is_empty(), "{:?}", agent.mounts());
}
