//! Two agents that were configured alike, by mistake.

use std::{fs, os::unix::fs::PermissionsExt as _, process::Output};

use crate::support::{Setup, TestAgent, is_alive, signal};

/// An agent on another bus with the same directories, which must end by itself.
fn start_second(first: &TestAgent, config: &str) -> (TestAgent, Output) {
    let other = TestAgent::prepared(&Setup::default());
    let own = fs::read_to_string(other.path("config")).unwrap();
    let path = first.path("");
    let path = path.to_str().unwrap().trim_end_matches('/');
    let text = format!("{own}{}", config.replace("FIRST", path));
    fs::write(other.path("config"), text).unwrap();
    let output = other.command().output().unwrap();
    (other, output)
}

#[test]
fn an_agent_touches_nothing_in_directories_that_another_one_uses() {
    let agent = TestAgent::start();
    let id = agent.create();
    let pid = agent
        .client()
        .execute(id, "/bin/sleep 600", "", "", &[])
        .unwrap();
    for (key, name) in [("shared-mounts-dir", "mounts"), ("lxc-path", "lxc")] {
        let (_other, output) = start_second(&agent, &format!("{key} = FIRST/{name}\n"));
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        let text = String::from_utf8(output.stderr).unwrap();
        let line = text.lines().last().unwrap();
        for part in [
            key,
            agent.path(name).to_str().unwrap(),
            &format!("process {},", agent.pid()),
        ] {
            assert!(line.contains(part), "{part:?} is missing from {line:?}");
        }
    }
    assert!(is_alive(pid));
    assert_eq!(agent.shell_ok(id, "echo alive"), "alive");
}

/// What liblxc has forked off for containers outlives the agent, with its descriptors.
#[test]
fn after_a_killed_agent_the_next_one_starts_at_once() {
    let mut agent = TestAgent::start();
    let id = agent.create();
    agent
        .client()
        .execute(id, "/bin/sleep 600", "", "", &[])
        .unwrap();
    let init = agent.init_pid(id);
    // Else it would notice, and liblxc's monitor end with it.
    signal(init, "STOP");
    agent.kill();
    assert!(is_alive(init));
    agent.start_agent();
    assert_eq!(agent.create(), id);
    assert!(!agent.log().contains("uses it"), "{}", agent.log());
}

/// Whoever can write there could have the agent write to the host as root.
#[test]
fn an_agent_does_not_trust_a_directory_that_others_can_write_to() {
    let agent = TestAgent::prepared(&Setup::default());
    let mounts = agent.path("mounts");
    fs::create_dir(&mounts).unwrap();
    for (owner, mode, part) in [
        (12345, 0o711, "belongs to user 12345"),
        (0, 0o777, "others than root can write"),
    ] {
        std::os::unix::fs::chown(&mounts, Some(owner), Some(owner)).unwrap();
        fs::set_permissions(&mounts, fs::Permissions::from_mode(mode)).unwrap();
        let output = agent.command().output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        let text = String::from_utf8(output.stderr).unwrap();
        assert!(text.lines().last().unwrap().contains(part), "{text}");
    }
}
