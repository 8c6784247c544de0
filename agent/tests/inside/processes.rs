//! ExecuteWithFds and Signal.

use std::{
    collections::HashMap,
    fs::File,
    io::{self, Read as _, Write as _},
    os::fd::{AsFd as _, OwnedFd},
    time::Instant,
};

use rustix::termios::{Winsize, tcsetwinsize};
use zbus::{Fd, OwnedVariant, Variant};

use crate::{
    error,
    support::{Client, PATIENCE, TestAgent, client::CallError, signal},
};

type Options<'a> = HashMap<&'a str, Variant<'a>>;

fn start(
    client: &Client,
    id: i32,
    command: &[&str],
    descriptors: &[(u32, &OwnedFd)],
    options: Options<'_>,
) -> Result<(u32, HashMap<String, OwnedVariant>), CallError> {
    let descriptors = descriptors.iter();
    let descriptors: HashMap<u32, Fd<'_>> = descriptors
        .map(|(number, fd)| (*number, Fd::from(fd.as_fd())))
        .collect();
    let reply = client.manage("ExecuteWithFds", &(id, command, descriptors, options))?;
    Ok(reply.body().deserialize().unwrap())
}

fn shell(script: &str) -> [&str; 3] {
    ["/bin/sh", "-c", script]
}

/// What a process with these options writes, to its end.
fn output(agent: &TestAgent, id: i32, script: &str, options: Options<'_>) -> String {
    let (mut reader, writer) = io::pipe().unwrap();
    let writer = OwnedFd::from(writer);
    let started = start(
        agent.client(),
        id,
        &shell(script),
        &[(1, &writer), (2, &writer)],
        options,
    );
    drop(writer);
    let (pid, _) = started.unwrap();
    let mut said = String::new();
    reader.read_to_string(&mut said).unwrap();
    agent.client().wait_ended(id, pid);
    said
}

#[test]
fn descriptors_are_the_standard_streams_each_by_itself() {
    let agent = TestAgent::start();
    let id = agent.create();
    let (input, mut to_app) = io::pipe().unwrap();
    let (mut from_app, out) = io::pipe().unwrap();
    let (mut complaints, error) = io::pipe().unwrap();
    let [input, out, error] = [input.into(), out.into(), error.into()];
    let started = start(
        agent.client(),
        id,
        &shell("cat; echo no >&2; exit 3"),
        &[(0, &input), (1, &out), (2, &error)],
        Options::new(),
    );
    drop((input, out, error));
    let (pid, _) = started.unwrap();
    to_app.write_all(b"from the launcher").unwrap();
    drop(to_app);
    let mut said = String::new();
    from_app.read_to_string(&mut said).unwrap();
    assert_eq!(said, "from the launcher");
    said.clear();
    complaints.read_to_string(&mut said).unwrap();
    assert_eq!(said, "no\n");
    assert_eq!(agent.client().wait_ended(id, pid).exit_code, 3 << 8);
    // What is not given is the container's own.
    let said = output(&agent, id, "readlink /proc/self/fd/0", Options::new());
    assert_eq!(said, "/dev/null\n");
}

#[test]
fn a_process_can_have_a_directory_variables_a_user_and_limits_of_its_own() {
    let agent = TestAgent::start();
    let id = agent.create();
    let options = Options::from([
        ("directory", Variant::from("/tmp")),
        ("environment", HashMap::from([("WHO", "me")]).into()),
        ("user", 7_u32.into()),
        (
            "limits",
            HashMap::from([("nofile", 64_u64), ("core", 0)]).into(),
        ),
    ]);
    let script = "pwd; echo $WHO; id -u; ulimit -n; ulimit -Hn";
    assert_eq!(output(&agent, id, script, options), "/tmp\nme\n7\n64\n64\n");
}

#[test]
fn what_cannot_be_used_is_named() {
    let agent = TestAgent::start();
    let id = agent.create();
    let refused = |command: &[&str], options| {
        let (name, text) = start(agent.client(), id, command, &[], options).unwrap_err();
        assert_eq!(name, error!("InvalidArgument"), "{text}");
        text
    };
    let with = |name, value| Options::from([(name, value)]);
    let text = refused(&["true"], with("usr", Variant::from(1_u32)));
    assert!(text.contains("usr"), "{text}");
    let text = refused(&["true"], with("user", Variant::from(65534_u32)));
    assert!(text.contains("65533"), "{text}");
    let text = refused(&[], Options::new());
    assert!(text.contains("no program"), "{text}");
    for (limit, part) in [("nofile", "limit nofile is"), ("noflie", "noflie")] {
        let limits = HashMap::from([(limit, u64::MAX)]);
        let text = refused(&["true"], with("limits", limits.into()));
        assert!(text.contains(part), "{text}");
    }
    let directory = OwnedFd::from(File::open("/").unwrap());
    let given = [(0, &directory)];
    let (name, text) = start(agent.client(), id, &["ls"], &given, Options::new()).unwrap_err();
    assert_eq!(name, error!("InvalidArgument"));
    assert!(text.contains("descriptor 0: it is a directory"), "{text}");
}

/// A person at a terminal.
struct Person {
    near: File,
    seen: String,
}

impl Person {
    fn types(&mut self, keys: &str) {
        self.near.write_all(keys.as_bytes()).unwrap();
    }

    /// Waits until the terminal shows `text` after what was waited for before.
    fn sees(&mut self, text: &str) -> String {
        let deadline = Instant::now() + *PATIENCE;
        loop {
            if let Some(at) = self.seen.find(text) {
                let rest = self.seen.split_off(at + text.len());
                return std::mem::replace(&mut self.seen, rest);
            }
            assert!(Instant::now() < deadline, "no {text:?}: {:?}", self.seen);
            let mut bytes = [0; 4096];
            let count = self.near.read(&mut bytes).unwrap();
            self.seen += &String::from_utf8_lossy(&bytes[..count]);
        }
    }
}

fn at_terminal(agent: &TestAgent, id: i32, command: &[&str]) -> (u32, Person) {
    let options = Options::from([("terminal", Variant::from((80_u16, 24_u16)))]);
    let (pid, mut details) = start(agent.client(), id, command, &[], options).unwrap();
    let near = Fd::try_from(details.remove("terminal").unwrap()).unwrap();
    let near = File::from(OwnedFd::try_from(near).unwrap());
    let seen = String::new();
    (pid, Person { near, seen })
}

#[test]
fn a_terminal_has_a_name_a_size_and_job_control() {
    let agent = TestAgent::start();
    let id = agent.create();
    let (pid, mut person) = at_terminal(&agent, id, &["/bin/bash", "--norc", "-i"]);
    person.types("PS1=; tty; stty size; echo re''ady\n");
    let shown = person.sees("ready");
    assert!(shown.contains("/dev/pts/"), "{shown}");
    assert!(shown.contains("24 80"), "{shown}");
    let size = Winsize {
        ws_col: 132,
        ws_row: 43,
        ws_xpixel: 0,
        ws_ypixel: 0,
    };
    tcsetwinsize(&person.near, size).unwrap();
    person.types("stty size\n");
    person.sees("43 132");
    // Ctrl-C ends the program, not the shell; Ctrl-Z suspends it.
    person.types("sleep 1000; echo sta''tus $?\n\x03");
    person.types("\n");
    person.types("(exec 3>/tmp/ready; sleep 1000)\n");
    let deadline = Instant::now() + *PATIENCE;
    while !output(&agent, id, "ls /tmp", Options::new()).contains("ready") {
        assert!(Instant::now() < deadline);
    }
    person.types("\x1a");
    person.types("jobs; echo lis''ted\n");
    let shown = person.sees("listed");
    assert!(shown.contains("Stopped"), "{shown}");
    // A shell that still has a suspended job leaves at the second word only.
    person.types("kill -9 %1\nexit 5\nexit 5\n");
    assert_eq!(agent.client().wait_ended(id, pid).exit_code, 5 << 8);
}

#[test]
fn who_is_at_the_terminal_leaves_and_the_program_is_told() {
    let agent = TestAgent::start();
    let id = agent.create();
    let (pid, person) = at_terminal(&agent, id, &["/bin/sleep", "1000"]);
    drop(person);
    let hang_up = 1;
    assert_eq!(agent.client().wait_ended(id, pid).exit_code, hang_up);
}

#[test]
fn no_app_puts_input_into_a_terminal() {
    let agent = TestAgent::start();
    let id = agent.create();
    let attack = "import fcntl, termios\n\
                  try: fcntl.ioctl(0, termios.TIOCSTI, b'x')\n\
                  except OSError as error: print('refused', error.errno)\n\
                  else: print('put in')";
    let (_, mut person) = at_terminal(&agent, id, &["/usr/bin/python3", "-c", attack]);
    person.sees("refused");
}

#[test]
fn a_signal_reaches_a_process_that_was_started_and_no_other() {
    let agent = TestAgent::start();
    let id = agent.create();
    let (mut reader, writer) = io::pipe().unwrap();
    let writer = OwnedFd::from(writer);
    let script = "trap 'echo told; exit 4' USR1; echo ready; while :; do sleep 0.1; done";
    let given = [(1, &writer)];
    let (pid, _) = start(agent.client(), id, &shell(script), &given, Options::new()).unwrap();
    drop(writer);
    let mut ready = [0; 6];
    reader.read_exact(&mut ready).unwrap();
    let send = |client: &Client, process: u32, number: i32| {
        let sent = client.manage("Signal", &(id, process, number));
        sent.map(drop).map_err(|(name, _)| name)
    };
    let stranger = agent.client_of(1);
    let hidden = send(&stranger, pid, 9).unwrap_err();
    assert_eq!(hidden, error!("NoSuchContainer"));
    let bad = send(agent.client(), pid, 65).unwrap_err();
    assert_eq!(bad, error!("InvalidArgument"));
    for other in [agent.init_pid(id), std::process::id(), 1] {
        let error = send(agent.client(), other, 9).unwrap_err();
        assert_eq!(error, error!("NoSuchProcess"));
    }
    send(agent.client(), pid, 10).unwrap();
    let mut said = String::new();
    reader.read_to_string(&mut said).unwrap();
    assert_eq!(said, "told\n");
    assert_eq!(agent.client().wait_ended(id, pid).exit_code, 4 << 8);
    assert_eq!(
        send(agent.client(), pid, 9).unwrap_err(),
        error!("NoSuchProcess")
    );
    // The test's own process is still there to say so.
    signal(std::process::id(), "CONT");
}
