//! softwarecontainerctl, as people use it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::{
    io::{BufRead as _, BufReader, Write as _},
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use support::{PATIENCE, Setup, TestAgent, wait_until};

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

/// A capability that gives a variable, and one that gives a way out.
const MANIFEST: &str = r#"{"version": "1", "capabilities": [
    {"name": "org.example.words", "gateways": [
        {"id": "env", "config": [{"name": "WORD", "value": "hello"}]}]},
    {"name": "org.example.out", "gateways": [
        {"id": "network", "config": [{"direction": "OUTGOING", "allow": [
            {"host": "192.0.2.7", "ports": [443], "protocols": "tcp"}]}]}]}]}"#;

fn with_manifest() -> TestAgent {
    TestAgent::with(&Setup::manifest(MANIFEST))
}

#[test]
fn a_command_runs_in_a_container_of_its_own_which_goes_with_it() {
    let agent = with_manifest();
    let shared = agent.path("shared");
    std::fs::create_dir(&shared).unwrap();
    let mount = format!("{}:/mnt/shared", shared.display());
    let script = "echo $WORD $MORE > /mnt/shared/said; echo done; exit 7";
    let words = [
        "run",
        "-c",
        "org.example.words",
        "-m",
        &mount,
        "-e",
        "MORE=world",
        "--app",
        "org.example.Once",
        "--",
        "sh",
        "-c",
        script,
    ];
    let output = run(&agent, &words);
    let complaints = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(7), "{complaints}");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "done\n");
    let said = std::fs::read_to_string(shared.join("said")).unwrap();
    assert_eq!(said, "hello world\n");
    assert_eq!(ok(&agent, &["list"]), "");
    let failed = run(&agent, &["run", "-c", "org.example.word", "true"]);
    let complaints = String::from_utf8_lossy(&failed.stderr);
    assert_eq!(failed.status.code(), Some(125));
    assert!(
        complaints.contains("did you mean \"org.example.words\"?"),
        "{complaints}"
    );
    assert_eq!(ok(&agent, &["list"]), "");
    // Whoever kills it leaves no container either.
    let mut child = command(&agent, &["run", "sleep", "1000"]).spawn().unwrap();
    wait_until("it runs", || ok(&agent, &["list"]).contains("\t1\t"));
    child.kill().unwrap();
    child.wait().unwrap();
    wait_until("it is gone", || ok(&agent, &["list"]).is_empty());
}

#[test]
fn what_a_container_may_do_is_explained_with_the_manifests_that_say_so() {
    let agent = with_manifest();
    let id = agent.create();
    let name = id.to_string();
    let nothing = ok(&agent, &["explain", &name]);
    assert!(nothing.contains("No capability was set"), "{nothing}");
    let manifest = agent.path("manifests/test.json").display().to_string();
    let way = "  connects to 192.0.2.7, tcp, port 443\n";
    let listed = ok(&agent, &["capabilities"]);
    assert_eq!(
        listed,
        format!("org.example.out\tnetwork\t{manifest}\norg.example.words\tenv\t{manifest}\n")
    );
    let named = ok(&agent, &["capabilities", "org.example.out"]);
    let expected = format!("Capability org.example.out ({manifest}):\n{way}");
    assert_eq!(named, expected);
    let wrong = run(&agent, &["capabilities", "org.example.ou"]);
    assert!(String::from_utf8_lossy(&wrong.stderr).contains("did you mean"));
    let client = agent.client();
    client.set_capabilities(id, &["org.example.out"]).unwrap();
    let host = agent.path("mounted");
    std::fs::create_dir(&host).unwrap();
    let host = host.to_str().unwrap();
    client.bind_mount(id, host, "/mnt/m", true).unwrap();
    let explained = ok(&agent, &["explain", &name]);
    assert!(explained.ends_with(&expected), "{explained}");
    let mounted = format!("  reads {host} of the host as /mnt/m\n");
    assert!(explained.contains(&mounted), "{explained}");
    let rules = ok(&agent, &["rules", &name]);
    let row = format!("network\torg.example.out\t{manifest}\t{{");
    assert!(
        rules.starts_with(&row) && rules.contains("192.0.2.7"),
        "{rules}"
    );
}

#[test]
fn the_state_and_the_use_of_a_container_are_shown() {
    let agent = TestAgent::start();
    assert!(ok(&agent, &["status"]).contains("Containers: none"));
    let id = agent.create();
    let name = id.to_string();
    agent
        .client()
        .execute(id, "sh -c 'while :; do :; done'", "", "", &[])
        .unwrap();
    let status = ok(&agent, &["status", &name]);
    for part in ["State: ready (call)", "Memory: ", "Tasks: ", ": sh -c"] {
        assert!(status.contains(part), "{part:?} is missing:\n{status}");
    }
    assert!(ok(&agent, &["status"]).contains("Containers: 1 ready"));
    let top = ok(&agent, &["top"]);
    let fields: Vec<_> = top.trim_end().split('\t').collect();
    assert_eq!(fields[0], name);
    let share = fields[2].strip_suffix('%').unwrap();
    assert!(share.parse::<f32>().unwrap() > 0.0, "{top}");
    assert!(fields[3].contains(" of "), "{top}");
    let unknown = run(&agent, &["status", "77"]);
    assert_eq!(unknown.status.code(), Some(1));
}

/// A capability with little memory and few processes, and a bus where nothing is allowed.
const LITTLE: &str = r#"{"version": "1", "capabilities": [
    {"name": "org.example.little", "gateways": [
        {"id": "cgroups", "config": [
            {"setting": "memory.limit_in_bytes", "value": "32M"},
            {"setting": "memory.memsw.limit_in_bytes", "value": "32M"},
            {"setting": "pids.max", "value": "12"}]},
        {"id": "dbus", "config": [{"dbus-gateway-config-session": []}]}]}]}"#;
/// fanotify_init(2), which no app may call; x86_64, then the generic table.
const FANOTIFY_INIT: i32 = if cfg!(target_arch = "x86_64") {
    300
} else {
    262
};

#[test]
fn what_an_app_lacks_and_why_it_died_is_told_with_what_to_change() {
    let agent = TestAgent::with(&Setup {
        config: "oom-group = false\n".to_owned(),
        ..Setup::manifest(LITTLE)
    });
    let id = agent.create();
    let name = id.to_string();
    let client = agent.client();
    let set = client.set_capabilities(id, &["org.example.little"]);
    set.unwrap();
    let sees = |wanted: &[&str]| {
        let found = |status: &str| wanted.iter().all(|part| status.contains(part));
        let mut status = String::new();
        let deadline = Instant::now() + *PATIENCE;
        while !found(&status) {
            assert!(Instant::now() < deadline, "{wanted:?}:\n{status}");
            status = ok(&agent, &["status", &name]);
            thread::sleep(Duration::from_millis(50));
        }
    };
    let call =
        "dbus-send --session --print-reply --dest=org.example.Radio / org.example.Radio.Play";
    for _ in 0..2 {
        assert_ne!(agent.shell(id, call).0, 0);
    }
    sees(&[
        "Refused: dbus: session bus: outgoing call org.example.Radio.Play on /: no rule",
        "(2 times",
    ]);
    let python =
        format!("import ctypes; ctypes.CDLL(None).syscall({FANOTIFY_INIT}, 0, 0); exit(5)");
    let command = format!("/usr/bin/python3 -I -c '{python}'");
    let pid = client.execute(id, &command, "", "", &[]).unwrap();
    client.wait_ended(id, pid);
    sees(&[
        "Refused: privileges: system call fanotify_init",
        "status 5: /usr/bin/python3",
        "Advice: see whether it needs fanotify_init",
    ]);
    let many = "sh -c 'for i in 1 2 3 4 5 6 7 8 9 10 11 12 13; do sleep 3 & done; wait'";
    let pid = client.execute(id, many, "", "", &[]).unwrap();
    client.wait_ended(id, pid);
    sees(&["Advice: let it have more processes: pids.max"]);
    let swallow = "/usr/bin/python3 -I -c 'a = bytearray(200 << 20)'";
    let pid = client.execute(id, swallow, "", "", &[]).unwrap();
    client.wait_ended(id, pid);
    sees(&[
        "signal 9 (out-of-memory): ",
        "Advice: give it more memory: memory.limit_in_bytes",
    ]);
    // What was refused is shown first, and then what happens.
    let mut child = command_of_trace(&agent, &name);
    let mut shown = String::new();
    let mut lines = BufReader::new(child.stdout.take().unwrap());
    while !shown.contains("what=\"session bus: outgoing call org.example.Radio.Play") {
        assert!(lines.read_line(&mut shown).unwrap() > 0, "{shown}");
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let log = agent.log();
    let said = log
        .matches("refused session bus: outgoing call org.example.Radio.Play")
        .count();
    assert_eq!(said, 1, "{log}");
    assert!(log.contains("was killed: out of memory: give it"), "{log}");
}

fn command_of_trace(agent: &TestAgent, id: &str) -> std::process::Child {
    let mut command = command(agent, &["trace", id]);
    command.stdout(Stdio::piped()).spawn().unwrap()
}

#[test]
fn what_happens_is_shown_as_it_happens_also_by_the_next_agent() {
    let mut agent = TestAgent::start();
    let mut child = command(&agent, &["monitor", "--json"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let (sender, events) = mpsc::channel();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let reading = thread::spawn(move || {
        for line in lines {
            let event: serde_json::Value = serde_json::from_str(&line.unwrap()).unwrap();
            if sender.send(event).is_err() {
                return;
            }
        }
    });
    let next = |wanted: &str| loop {
        let event = events.recv_timeout(*PATIENCE).unwrap();
        if event["event"] == wanted {
            return event;
        }
    };
    let first = agent.create();
    // Nothing is shown until it has subscribed.
    wait_until("something is shown", || {
        agent.shell_ok(first, "true");
        events.try_recv().is_ok()
    });
    let id = agent.create();
    while next("ContainerAdded")["container"] != id {}
    let pid = agent.client().execute(id, "sh -c 'exit 3'", "", "", &[]);
    let pid = pid.unwrap();
    let started = next("ProcessStarted");
    assert_eq!(started["process"], pid);
    assert_eq!(started["command"], "sh -c 'exit 3'");
    let ended = next("ProcessEnded");
    assert_eq!(
        (&ended["process"], &ended["status"]),
        (&pid.into(), &768.into())
    );
    assert_eq!(ended["details"]["reason"], "exit");
    agent.client().destroy(id).unwrap();
    assert_eq!(next("ContainerRemoved")["container"], id);
    agent.stop();
    next("AgentGone");
    agent.start_agent();
    next("AgentStarted");
    child.kill().unwrap();
    child.wait().unwrap();
    drop(events);
    let _ = reading.join();
}

#[test]
fn what_is_wrong_with_the_host_is_found_with_what_to_do() {
    let agent = with_manifest();
    let found = ok(&agent, &["doctor"]);
    for part in [
        "ok\tagent\t",
        "ok\tlxc\t",
        "ok\tnetwork\t",
        "ok\tcontainer\t",
    ] {
        assert!(found.contains(part), "{part:?} is missing:\n{found}");
    }
    assert!(found.contains("ok\tmanifests\t2 capabilities"), "{found}");
    assert_eq!(ok(&agent, &["list"]), "");
    let broken = TestAgent::with(&Setup {
        config: "create-bridge = false\nbridge-device = scnone0".to_owned(),
        ..Setup::manifest(
            r#"{"version": "1", "capabilities": [{"name": "a", "gateways": [
            {"id": "wayland", "config": [{"enabled": 1}]}]}]}"#,
        )
    });
    let output = run(&broken, &["doctor"]);
    let found = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(1), "{found}");
    for part in [
        "error\tnetwork\t",
        "scnone0",
        "error\tcontainer\t",
        "warning\tmanifests\t",
    ] {
        assert!(found.contains(part), "{part:?} is missing:\n{found}");
    }
    let mut nowhere = Command::new(program());
    let nowhere = nowhere
        .args(["--session-bus", "doctor"])
        .env("DBUS_SESSION_BUS_ADDRESS", "unix:path=/nowhere");
    let output = nowhere.output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stdout).starts_with("error\tbus\t"));
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
