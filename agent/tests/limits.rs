//! Bounds and host paths of the configuration, who calls, and user namespaces.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::{fs, os::unix::fs::PermissionsExt as _, os::unix::fs::symlink, time::Instant};

use support::{Setup, TestAgent};

fn with(config: &str) -> TestAgent {
    TestAgent::with(&Setup {
        config: config.to_owned(),
        ..Setup::default()
    })
}

fn text(error: impl std::fmt::Debug) -> String {
    format!("{error:?}")
}

#[test]
fn there_are_no_more_containers_than_configured_and_an_id_gets_free_again() {
    let agent = with("max-containers = 2");
    let (first, second) = (agent.create(), agent.create());
    let error = text(agent.client().create("[]").unwrap_err());
    assert!(error.contains("max-containers"), "{error}");
    agent.client().destroy(first).unwrap();
    assert_eq!(agent.create(), first);
    assert_eq!(agent.shell_ok(second, "echo alive"), "alive");
}

#[test]
fn long_commands_environments_and_options_are_refused_by_name() {
    let agent = with("max-command-length = 1000\nmax-environment-size = 2000");
    let id = agent.create();
    let client = agent.client();
    let long = "x".repeat(3000);
    let execute = |command: &str, variables: &[(&str, &str)]| {
        client.execute(id, command, "", "", variables).map_err(text)
    };
    let error = execute(&format!("true {long}"), &[]).unwrap_err();
    assert!(error.contains("max-command-length"), "{error}");
    let error = execute("true", &[("A", &long)]).unwrap_err();
    assert!(error.contains("max-environment-size"), "{error}");
    let options = format!("[{}]", " ".repeat(1000));
    let error = text(client.create(&options).unwrap_err());
    assert!(error.contains("max-command-length"), "{error}");
    execute("true", &[("A", "b")]).unwrap();
}

#[test]
fn limits_of_processes_and_descriptors_are_those_of_the_configuration() {
    let agent = with("max-processes = 20\nmax-open-files = 99");
    let id = agent.create();
    assert_eq!(agent.shell_ok(id, "ulimit -n; ulimit -Hn"), "99\n99");
    let script = "for i in $(seq 30); do sleep 9 & done; echo all";
    let (_, output) = agent.shell(id, script);
    assert!(!output.contains("all"), "{output}");
    agent.client().destroy(id).unwrap();
}

#[test]
fn what_a_container_can_write_is_up_to_the_configuration() {
    let agent = with("root-tree-size = 2000000\nmax-root-tree-size = 20000000\ndev-size = 1500000");
    let client = agent.client();
    let create = |size: u64| {
        let options = format!(
            r#"[{{"writeBufferEnabled": true, "temporaryFileSystemWriteBufferEnabled": true, "temporaryFileSystemSize": {size}}}]"#
        );
        client.create(&options).map_err(text)
    };
    let error = create(20_000_001).unwrap_err();
    assert!(
        error.contains(
            "temporaryFileSystemSize is 20000001, more than the 20000000 of max-root-tree-size"
        ),
        "{error}"
    );
    let (default, large) = (agent.create(), create(20_000_000).unwrap());
    // In blocks of 1000 bytes, as far as there is room.
    let fill = |id, path: &str| -> u32 {
        let script = format!(
            "head -c 30000000 /dev/zero >{path}/fill 2>/dev/null; echo $(($(wc -c <{path}/fill) / 1000)); rm {path}/fill"
        );
        agent.shell_ok(id, &script).parse().unwrap()
    };
    assert!((1000..2000).contains(&fill(default, "/tmp")));
    assert!((18000..20000).contains(&fill(large, "/tmp")));
    assert!((1000..1500).contains(&fill(default, "/dev")));
}

#[test]
fn a_large_manifest_stops_the_start() {
    let agent = with("max-manifest-size = 2000");
    let manifest = format!(r#"{{"version": "1", "x": "{}"}}"#, "x".repeat(3000));
    fs::write(agent.path("manifests/large.json"), manifest).unwrap();
    let output = agent.command().output().unwrap();
    assert!(!output.status.success());
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        error.contains("large.json") && error.contains("max-manifest-size"),
        "{error}"
    );
}

#[test]
fn host_paths_count_by_where_they_lead() {
    let allowed = tempfile::TempDir::new().unwrap();
    let other = tempfile::TempDir::new().unwrap();
    let manifest = format!(
        r#"{{"version": "1", "capabilities": [{{"name": "test.other", "gateways": [{{"id": "file", "config": [
            {{"path-host": "{}", "path-container": "/tmp/other", "read-only": true}}]}}]}}]}}"#,
        other.path().display()
    );
    let mut setup = Setup::manifest(&manifest);
    setup.config = format!("allowed-host-paths = {}", allowed.path().display());
    let agent = TestAgent::with(&setup);
    let id = agent.create();
    fs::write(allowed.path().join("file"), "content").unwrap();
    symlink(other.path(), allowed.path().join("link")).unwrap();
    let mount = |path: &std::path::Path, target: &str| {
        agent
            .client()
            .bind_mount(id, path.to_str().unwrap(), target, true)
            .map_err(text)
    };
    mount(allowed.path(), "/tmp/allowed").unwrap();
    assert_eq!(agent.shell_ok(id, "cat /tmp/allowed/file"), "content");
    for path in [other.path().to_owned(), allowed.path().join("link")] {
        let error = mount(&path, "/tmp/refused").unwrap_err();
        assert!(error.contains("allowed-host-paths"), "{error}");
    }
    let error = text(
        agent
            .client()
            .set_capabilities(id, &["test.other"])
            .unwrap_err(),
    );
    assert!(error.contains("allowed-host-paths"), "{error}");
}

#[test]
fn a_call_is_logged_with_its_callers_user_and_process() {
    let agent = TestAgent::start();
    agent.create();
    let wanted = format!("Create by uid 0, pid {}", std::process::id());
    assert!(agent.log().contains(&wanted), "{}", agent.log());
}

/// One client keeps more calls waiting than it may; another is served meanwhile.
#[test]
fn a_client_that_floods_the_agent_slows_only_itself() {
    let agent = with("max-pending-calls = 4");
    let id = agent.create();
    let flooding = agent.new_client();
    let (mut refused, mut served, mut lists) = (0, 0, Vec::new());
    let begin = Instant::now();
    std::thread::scope(|scope| {
        let calls: Vec<_> = (0..40)
            .map(|_| scope.spawn(|| flooding.execute(id, "true", "", "", &[]).map_err(text)))
            .collect();
        while !calls.iter().all(|call| call.is_finished()) {
            let start = Instant::now();
            agent.client().list().unwrap();
            lists.push(start.elapsed());
        }
        for call in calls {
            match call.join().unwrap() {
                Ok(_) => served += 1,
                Err(error) => {
                    assert!(error.contains("max-pending-calls"), "{error}");
                    refused += 1;
                }
            }
        }
    });
    assert!(served >= 4, "{served} served, {refused} refused");
    assert!(refused > 0, "{served} served, {refused} refused");
    lists.sort_unstable();
    let (median, whole) = (lists[lists.len() / 2], begin.elapsed());
    assert!(median * 4 < whole, "List took {median:?} of {whole:?}");
    // Its calls have ended, so it may call again.
    flooding.execute(id, "true", "", "", &[]).unwrap();
}

fn id_map(agent: &TestAgent, id: i32) -> String {
    let map = agent.shell_ok(id, "cat /proc/self/uid_map");
    map.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn each_container_has_users_of_its_own() {
    let agent = with("user-namespace = required");
    let (first, second) = (agent.create(), agent.create());
    assert_eq!(id_map(&agent, first), "0 524288 65536");
    assert_eq!(id_map(&agent, second), "0 589824 65536");
}

#[test]
fn without_user_namespaces_containers_still_work() {
    let agent = with("user-namespace = off");
    let id = agent.create();
    assert_eq!(id_map(&agent, id), "0 0 4294967295");
    let directory = agent.path("shared");
    fs::create_dir(&directory).unwrap();
    let host = directory.to_str().unwrap();
    agent
        .client()
        .bind_mount(id, host, "/shared", false)
        .unwrap();
    agent.shell_ok(
        id,
        "echo x > /shared/file && test -c /dev/null && mknod /tmp/p p",
    );
    assert!(directory.join("file").exists());
}

/// liblxc would use it, and fail without ranges for root in /etc/subuid.
#[test]
fn an_installed_newuidmap_is_not_used() {
    let directory = tempfile::TempDir::new().unwrap();
    for name in ["newuidmap", "newgidmap"] {
        let path = directory.path().join(name);
        fs::write(&path, "#!/bin/sh\nexit 1\n").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o4755)).unwrap();
    }
    let search = std::env::var("PATH").unwrap();
    let agent = TestAgent::with(&Setup {
        config: "user-namespace = required".to_owned(),
        environment: vec![(
            "PATH".to_owned(),
            format!("{}:{search}", directory.path().display()),
        )],
        ..Setup::default()
    });
    let id = agent.create();
    assert_eq!(id_map(&agent, id), "0 524288 65536");
}
