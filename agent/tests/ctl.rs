//! softwarecontainerctl, as people use it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::{
    io::Write as _,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    time::Instant,
};

use support::{PATIENCE, TestAgent};

fn program() -> PathBuf {
    Path::new(env!("CARGO_BIN_EXE_softwarecontainer-agent")).with_file_name("softwarecontainerctl")
}

fn command(agent: &TestAgent, words: &[&str]) -> Command {
    let mut command = Command::new(program());
    command
        .arg("--session-bus")
        .args(words)
        .env("DBUS_SESSION_BUS_ADDRESS", agent.address());
    command
}

fn run(agent: &TestAgent, words: &[&str]) -> Output {
    command(agent, words).output().unwrap()
}

fn ok(agent: &TestAgent, words: &[&str]) -> String {
    let output = run(agent, words);
    let complaints = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{words:?}: {complaints}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn containers_are_listed_looked_into_and_worked_on() {
    let agent = TestAgent::start();
    assert_eq!(ok(&agent, &["list"]), "");
    let id = agent.create();
    let name = id.to_string();
    let pid = agent.client().execute(id, "/bin/sleep 1000", "", "", &[]);
    let pid = pid.unwrap().to_string();
    let listed = ok(&agent, &["list"]);
    let fields: Vec<_> = listed.trim_end().split('\t').collect();
    assert_eq!(fields[..6], [&name, "ready", "", "", "0", "1"]);
    let processes = ok(&agent, &["ps", &name]);
    assert!(processes.starts_with(&format!("{pid}\t")), "{processes}");
    assert!(processes.ends_with("\t/bin/sleep 1000\n"), "{processes}");
    ok(&agent, &["suspend", &name]);
    let seen: serde_json::Value = serde_json::from_str(&ok(&agent, &["inspect", &name])).unwrap();
    assert_eq!(seen["State"], "suspended");
    assert_eq!(seen["Processes"][0][1], "/bin/sleep 1000");
    assert!(seen["Statistics"]["memory"].as_u64().unwrap() > 0);
    ok(&agent, &["resume", &name]);
    ok(&agent, &["kill", "-s", "USR1", &name, &pid]);
    let ended = agent.client().wait_ended(id, pid.parse().unwrap());
    assert_eq!(ended.exit_code, 10);
    ok(&agent, &["destroy", &name]);
    assert_eq!(ok(&agent, &["list"]), "");
    let failed = run(&agent, &["inspect", &name]);
    assert_eq!(failed.status.code(), Some(1));
    let said = String::from_utf8_lossy(&failed.stderr);
    assert!(said.contains("there is no container with ID"), "{said}");
}

#[test]
fn exec_passes_streams_and_the_exit_status_on() {
    let agent = TestAgent::start();
    let id = agent.create().to_string();
    let script = "cat; echo $WHO at $(pwd) >&2; exit 7";
    let words = [
        "exec", "-i", "-w", "/tmp", "-e", "WHO=me", &id, "sh", "-c", script,
    ];
    let mut child = command(&agent, &words)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(b"typed").unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), "typed");
    assert_eq!(String::from_utf8_lossy(&output.stderr), "me at /tmp\n");
    assert_eq!(output.status.code(), Some(7));
    let killed = run(&agent, &["exec", &id, "sh", "-c", "kill -KILL $$"]);
    assert_eq!(killed.status.code(), Some(137));
    let missing = run(&agent, &["exec", &id, "no-such-program"]);
    assert_eq!(missing.status.code(), Some(127));
    let unknown = run(&agent, &["exec", "77", "true"]);
    assert_eq!(unknown.status.code(), Some(125));
}

/// A terminal with a person: a session of tmux.
struct Tmux {
    server: String,
}

impl Tmux {
    fn start(agent: &TestAgent, words: &str) -> Self {
        let server = format!("sct{}", std::process::id());
        let tmux = Self { server };
        let line = format!(
            "DBUS_SESSION_BUS_ADDRESS='{}' {} --session-bus {words}; echo left with $?; sleep 1000",
            agent.address(),
            program().display()
        );
        tmux.run(&[
            "-f",
            "/dev/null",
            "new-session",
            "-d",
            "-x",
            "80",
            "-y",
            "24",
            &line,
        ]);
        tmux
    }

    fn run(&self, words: &[&str]) -> String {
        let mut command = Command::new("tmux");
        command
            .env_remove("TMUX")
            .env("TERM", "screen")
            .env("LC_ALL", "C.UTF-8");
        let output = command.arg("-L").arg(&self.server).args(words).output();
        let output = output.unwrap();
        let complaints = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{words:?}: {complaints}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    fn types(&self, keys: &str) {
        self.run(&["send-keys", "-l", keys]);
        self.run(&["send-keys", "Enter"]);
    }

    fn presses(&self, key: &str) {
        self.run(&["send-keys", key]);
    }

    fn sees(&self, wanted: &str) {
        let deadline = Instant::now() + *PATIENCE;
        loop {
            let screen = self.run(&["capture-pane", "-p"]);
            if screen.contains(wanted) {
                return;
            }
            assert!(Instant::now() < deadline, "no {wanted:?}:\n{screen}");
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
    }
}

impl Drop for Tmux {
    fn drop(&mut self) {
        let _ = Command::new("tmux")
            .args(["-L", &self.server, "kill-server"])
            .status();
    }
}

#[test]
fn a_shell_at_a_terminal_is_as_one_of_the_host() {
    let agent = TestAgent::start();
    let id = agent.create();
    let words = format!("exec -it -e TERM=screen {id} /bin/bash --norc");
    let tmux = Tmux::start(&agent, &words);
    tmux.types("PS1='in> '");
    tmux.sees("in>");
    tmux.types("stty size; tty");
    tmux.sees("24 80");
    tmux.sees("/dev/pts/");
    // The window changes.
    tmux.run(&["resize-window", "-x", "100", "-y", "30"]);
    tmux.types("stty size");
    tmux.sees("30 100");
    // Ctrl-C and Ctrl-Z are the command's.
    tmux.types("echo sle''eping; sleep 1000");
    tmux.sees("sleeping");
    tmux.presses("C-c");
    tmux.types("echo status $?");
    tmux.sees("status 130");
    tmux.types("echo aga''in; sleep 1000");
    tmux.sees("again");
    tmux.presses("C-z");
    tmux.sees("Stopped");
    tmux.types("kill %1; wait; clear");
    // A program that has the whole screen, and keys without Enter.
    tmux.types("seq 500 | less");
    tmux.sees("25");
    tmux.presses("G");
    tmux.sees("(END)");
    tmux.presses("q");
    tmux.types("exit 9");
    tmux.sees("left with 9");
    // The terminal is as it was: what is typed is shown, and Enter ends a line.
    tmux.types("shown");
    tmux.sees("shown");
}
