//! The small launchers of `examples/launchers`, each in its language, doing the same.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::{
    io::{BufRead as _, BufReader, Read as _},
    path::{Path, PathBuf},
    process::{Child, ChildStderr, Command, Output, Stdio},
};

use support::{Setup, TestAgent, signal, wait_until};

/// Every container has little memory.
const LITTLE: &str = r#"{"version": "1", "capabilities": [
    {"name": "org.example.little", "gateways": [
        {"id": "cgroups", "config": [
            {"setting": "memory.limit_in_bytes", "value": "48M"},
            {"setting": "memory.memsw.limit_in_bytes", "value": "48M"}]}]}]}"#;
const APP: &str = "org.example.App";
/// What shells and these launchers add to the number of a signal.
const SIGNALLED: i32 = 128;

fn examples() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/launchers")
}

fn agent() -> TestAgent {
    TestAgent::with(&Setup {
        config: "oom-group = false\n".to_owned(),
        default_manifests: vec![("little.json".to_owned(), LITTLE.to_owned())],
        ..Setup::default()
    })
}

struct Launcher<'a> {
    agent: &'a TestAgent,
    program: &'a Path,
}

impl Launcher<'_> {
    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(self.program);
        command
            .args(["--session-bus", APP])
            .args(words)
            .env("DBUS_SESSION_BUS_ADDRESS", self.agent.address())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    fn run(&self, words: &[&str]) -> (Option<i32>, String, String) {
        let Output {
            status,
            stdout,
            stderr,
        } = self.command(words).output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (status.code(), text(stdout), text(stderr))
    }

    /// Starts an app that sleeps; what the launcher says from then on.
    fn start(&self) -> (Child, BufReader<ChildStderr>) {
        let mut child = self.command(&["sleep", "1000"]).spawn().unwrap();
        let mut said = BufReader::new(child.stderr.take().unwrap());
        let mut line = String::new();
        said.read_line(&mut line).unwrap();
        assert!(line.starts_with("org.example.App: process "), "{line}");
        (child, said)
    }
}

fn end((mut child, mut rest): (Child, BufReader<ChildStderr>)) -> (Option<i32>, String) {
    let mut said = String::new();
    rest.read_to_string(&mut said).unwrap();
    (child.wait().unwrap().code(), said)
}

fn is_empty(agent: &TestAgent) -> bool {
    agent.client().list().unwrap().is_empty()
}

/// Everything that a launcher has to cope with.
fn copes(program: &Path) {
    let mut agent = agent();
    let launcher = Launcher {
        agent: &agent,
        program,
    };
    let script = "echo hello; echo oh >&2; exit 3";
    let (status, output, said) = launcher.run(&["sh", "-c", script]);
    assert_eq!((status, &*output), (Some(3), "hello\n"), "{said}");
    assert!(said.contains("oh\n"), "{said}");
    assert!(
        said.contains("org.example.App: ended with status 3"),
        "{said}"
    );
    wait_until("the container is gone", || is_empty(&agent));

    let (status, _, said) = launcher.run(&["sh", "-c", "kill -SEGV $$"]);
    assert_eq!(status, Some(SIGNALLED + 11), "{said}");
    assert!(said.contains("ended by signal 11 (signal)"), "{said}");

    let swallow = "a = bytearray(200 << 20)";
    let (status, _, said) = launcher.run(&["/usr/bin/python3", "-I", "-c", swallow]);
    assert_eq!(status, Some(SIGNALLED + 9), "{said}");
    assert!(
        said.contains("signal 9 (out-of-memory): give it more"),
        "{said}"
    );

    let started = launcher.start();
    signal(started.0.id(), "TERM");
    let (status, said) = end(started);
    assert_eq!(status, Some(SIGNALLED + 15), "{said}");
    wait_until("the container is gone", || is_empty(&agent));

    // Whoever kills the launcher leaves nothing.
    let (mut child, _said) = launcher.start();
    child.kill().unwrap();
    child.wait().unwrap();
    wait_until("the container is gone", || is_empty(&agent));

    let (status, _, said) = launcher.run(&["no-such-program"]);
    assert_eq!(status, Some(127), "{said}");

    let started = launcher.start();
    agent.kill();
    agent.start_agent();
    let (status, said) = end(started);
    assert_eq!(status, Some(SIGNALLED + 9), "{said}");
    assert!(said.contains("the agent is gone"), "{said}");
    wait_until("nothing is left", || is_empty(&agent));
}

#[test]
fn one_in_python_copes_with_everything() {
    copes(&examples().join("python/launch.py"));
}

#[test]
fn one_with_qt_copes_with_everything() {
    let directory = tempfile::tempdir().unwrap();
    let compiled = Command::new("make")
        .arg("-C")
        .arg(examples().join("qt"))
        .arg(format!("BUILD={}", directory.path().display()))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&compiled.stderr);
    assert!(compiled.status.success(), "{said}");
    copes(&directory.path().join("launch"));
}

#[test]
fn one_in_c_copes_with_everything() {
    let directory = tempfile::tempdir().unwrap();
    let program = directory.path().join("launch");
    let line = format!(
        "cc -std=gnu17 -Wall -Wextra -Werror -O1 {} -o {} $(pkg-config --cflags --libs libsystemd)",
        examples().join("c/launch.c").display(),
        program.display()
    );
    let compiled = Command::new("sh").args(["-c", &line]).output().unwrap();
    let said = String::from_utf8_lossy(&compiled.stderr);
    assert!(compiled.status.success(), "{said}");
    copes(&program);
}
