//! The example launcher, as users of the host run it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::{
    fs,
    os::unix::{
        fs::{MetadataExt as _, PermissionsExt as _, chown},
        process::CommandExt as _,
    },
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
};

use serde_json::{Value, json};
use softwarecontainer_agent::host::credentials::Credentials;
use support::{Setup, TestAgent, is_alive, signal, wait_until};

/// A user that every host has.
const LAUNCHER: u32 = 2;

/// A launcher's directories: apps, state and homes.
struct Launcher<'a> {
    agent: &'a TestAgent,
    user: u32,
}

impl<'a> Launcher<'a> {
    fn new(agent: &'a TestAgent, user: u32) -> Self {
        for name in ["state", "homes", "apps"] {
            let path = agent.path(name);
            fs::create_dir(&path).unwrap();
            chown(&path, Some(user), Some(user)).unwrap();
        }
        Self { agent, user }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.agent.path(name)
    }

    fn app(&self, name: &str, manifest: &Value) {
        let path = self.path("apps").join(format!("{name}.json"));
        fs::write(&path, manifest.to_string()).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    }

    fn command(&self, words: &[&str]) -> Command {
        let program = Path::new(env!("CARGO_BIN_EXE_softwarecontainer-agent"))
            .with_file_name("softwarecontainer-launcher");
        let mut command = Command::new(program);
        command
            .args(["--session-bus", "--apps"])
            .arg(self.path("apps"))
            .arg("--state")
            .arg(self.path("state"))
            .args(words)
            .env("DBUS_SESSION_BUS_ADDRESS", self.agent.address())
            .env("STATE_DIRECTORY", self.path("homes"))
            .uid(self.user)
            .gid(self.user);
        command
    }

    fn output(&self, words: &[&str]) -> Output {
        self.command(words).output().unwrap()
    }

    /// Starts an app, and waits until its launcher has noted it; the app's process.
    fn start(&self, name: &str) -> (Child, u32) {
        let log = fs::File::create(self.path("launcher-log")).unwrap();
        let child = self
            .command(&["run", name])
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        let mut listed = None;
        wait_until("the app is listed", || {
            listed = self.listed(name);
            listed.is_some()
        });
        (child, listed.unwrap())
    }

    /// The process of a running app.
    fn listed(&self, name: &str) -> Option<u32> {
        let text = String::from_utf8(self.output(&["list"]).stdout).unwrap();
        let mut lines = text
            .lines()
            .map(|line| line.split('\t').collect::<Vec<_>>());
        let line = lines.find(|fields| fields[0] == name)?;
        Some(line[2].parse().unwrap())
    }

    fn log(&self) -> String {
        fs::read_to_string(self.path("launcher-log")).unwrap()
    }
}

#[test]
fn an_app_is_the_user_of_its_manifest_and_its_files_are_its_launchers() {
    let agent = TestAgent::start();
    let launcher = Launcher::new(&agent, LAUNCHER);
    launcher.app(
        "note",
        &json!({"command": "sh -c 'id -u; umask 077; mkdir deep; echo x > deep/note; pwd'",
            "user": 1000}),
    );
    let output = launcher.output(&["run", "note"]);
    assert!(output.status.success(), "{output:?}");
    assert_eq!(
        String::from_utf8(output.stdout).unwrap(),
        "1000\n/home/note\n"
    );
    let home = launcher.path("homes").join("note");
    for name in ["", "deep", "deep/note"] {
        let metadata = fs::metadata(home.join(name)).unwrap();
        assert_eq!((metadata.uid(), metadata.gid()), (LAUNCHER, LAUNCHER));
    }
    assert_eq!(fs::metadata(&home).unwrap().mode() & 0o777, 0o700);
    let owner = Credentials {
        user: LAUNCHER,
        groups: vec![LAUNCHER],
        process: None,
    };
    owner.act(|| fs::remove_dir_all(home)).unwrap().unwrap();
}

/// As quotas for each app need it.
#[test]
fn a_launcher_that_is_root_gives_each_home_to_a_user_of_the_host() {
    let agent = TestAgent::start();
    let launcher = Launcher::new(&agent, 0);
    for (name, owner) in [("radio", 70_001), ("maps", 70_002)] {
        launcher.app(
            name,
            &json!({"command": "touch file", "user": 1000, "home-owner": owner}),
        );
        let output = launcher.output(&["run", name]);
        assert!(output.status.success(), "{output:?}");
        for path in ["", "file"] {
            let path = launcher.path("homes").join(name).join(path);
            let metadata = fs::metadata(path).unwrap();
            assert_eq!((metadata.uid(), metadata.gid()), (owner, owner));
        }
    }
}

#[test]
fn an_owner_that_a_launcher_may_not_name_is_told() {
    let agent = TestAgent::start();
    let launcher = Launcher::new(&agent, LAUNCHER);
    launcher.app("radio", &json!({"command": "true", "home-owner": 3}));
    let output = launcher.output(&["run", "radio"]);
    assert!(!output.status.success());
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(text.contains("hostUserID is 3"), "{text}");
    assert!(text.contains("only root"), "{text}");
}

/// A launcher after a kill, and the process of the app `clock` that it has left.
fn killed(agent: &TestAgent) -> (Launcher<'_>, u32) {
    let launcher = Launcher::new(agent, LAUNCHER);
    launcher.app("clock", &json!({"command": "sleep 1000"}));
    let (mut first, left) = launcher.start("clock");
    first.kill().unwrap();
    first.wait().unwrap();
    (launcher, left)
}

#[test]
fn an_app_whose_launcher_was_killed_is_ended_before_it_starts_again() {
    let agent = TestAgent::start();
    let (launcher, left) = killed(&agent);
    assert!(is_alive(left), "the agent knows of no launchers");
    assert_eq!(launcher.listed("clock"), None);
    let containers = agent.client().list().unwrap();
    let (mut second, running) = launcher.start("clock");
    assert!(!is_alive(left) && is_alive(running));
    assert!(
        launcher
            .log()
            .contains("ending what its last launcher left"),
        "{}",
        launcher.log()
    );
    assert_eq!(agent.client().list().unwrap().len(), containers.len());
    let stopped = launcher.output(&["stop", "clock"]);
    assert!(stopped.status.success(), "{stopped:?}");
    assert!(second.wait().unwrap().success());
    assert_eq!(agent.client().list().unwrap(), [0; 0]);
}

#[test]
fn a_launcher_that_was_killed_before_its_app_ran_leaves_nothing_to_the_next() {
    let agent = TestAgent::start();
    let (launcher, left) = killed(&agent);
    // As it was noted before Execute.
    let note = launcher.path("state/clock.app");
    let mut noted: Value = serde_json::from_str(&fs::read_to_string(&note).unwrap()).unwrap();
    noted["process"] = Value::Null;
    fs::write(&note, noted.to_string()).unwrap();
    let (mut second, _) = launcher.start("clock");
    assert!(!is_alive(left));
    signal(second.id(), "TERM");
    assert!(second.wait().unwrap().success());
    assert_eq!(agent.client().list().unwrap(), [0; 0]);
}

#[test]
fn a_container_that_is_not_what_was_noted_is_left_alone() {
    let mut agent = TestAgent::start();
    let launcher = Launcher::new(&agent, LAUNCHER);
    launcher.app("clock", &json!({"command": "sleep 1000"}));
    let (mut first, _) = launcher.start("clock");
    first.kill().unwrap();
    first.wait().unwrap();
    agent.stop();
    agent.start_agent();
    let launcher = Launcher {
        agent: &agent,
        user: LAUNCHER,
    };
    // It has the ID that is noted.
    let other = agent.client_of(LAUNCHER);
    assert_eq!(other.create(r#"[{"writeBufferEnabled": false}]"#), Ok(0));
    let (mut second, _) = launcher.start("clock");
    assert!(other.list().unwrap().contains(&0));
    signal(second.id(), "TERM");
    second.wait().unwrap();
}

#[test]
fn a_launcher_that_may_not_call_the_agent_is_told_about_the_group() {
    let policy = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../systemd/com.pelagicore.SoftwareContainerAgent.conf"
    );
    let agent = TestAgent::with(&Setup {
        bus: format!("<include>{policy}</include>"),
        ..Setup::default()
    });
    let launcher = Launcher::new(&agent, LAUNCHER);
    launcher.app("clock", &json!({"command": "true"}));
    for words in [&["capabilities"][..], &["run", "clock"]] {
        let output = launcher.output(words);
        assert!(!output.status.success());
        let text = String::from_utf8(output.stderr).unwrap();
        assert!(
            text.contains("is this user in the group softwarecontainer?"),
            "{text}"
        );
    }
}

/// Where somebody keeps the agent's descriptors the app goes on, and so does its launcher.
#[test]
fn a_launcher_stays_with_its_app_when_the_agent_is_killed() {
    let mut agent = TestAgent::with(&Setup {
        supervised: true,
        ..Setup::default()
    });
    let launcher = Launcher::new(&agent, LAUNCHER);
    let command = "sh -c 'while test ! -e /tmp/end; do sleep 0.05; done; exit 5'";
    launcher.app("clock", &json!({"command": command, "user": 1000}));
    let (mut child, app) = launcher.start("clock");
    for _ in 0..2 {
        agent.kill();
        agent.start_agent();
        assert!(is_alive(app));
    }
    let launcher = Launcher {
        agent: &agent,
        user: LAUNCHER,
    };
    assert_eq!(launcher.listed("clock"), Some(app));
    agent.shell_ok(0, "touch /tmp/end");
    assert_eq!(child.wait().unwrap().code(), Some(5), "{}", launcher.log());
    assert!(agent.client().list().unwrap().is_empty());
}
