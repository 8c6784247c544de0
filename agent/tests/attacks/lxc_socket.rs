//! The abstract socket of LXC's monitor, whose name any user of the host can tell and bind.

use std::{
    fs,
    io::{Read as _, Write as _},
    os::{
        linux::net::SocketAddrExt as _,
        unix::net::{SocketAddr, UnixListener},
    },
    process::{Child, Command},
    thread,
};

use crate::support::{TestAgent, is_alive, signal, wait_until};

/// `LXC_CMD_GET_STATE`, and what stands for RUNNING (commands.h and state.h of LXC).
const GET_STATE: u32 = 3;
const RUNNING: u64 = 2;

/// The socket of container 0 of `agent`, bound by somebody else.
fn squat(agent: &TestAgent) -> UnixListener {
    let name = agent.path("lxc/SC-0/command");
    let name = name.to_str().unwrap();
    let address = SocketAddr::from_abstract_name(name).unwrap();
    let mut listener = None;
    wait_until("the name is free", || {
        listener = UnixListener::bind_addr(&address).ok();
        listener.is_some()
    });
    listener.unwrap()
}

/// An agent that was killed, and whose container ended by that.
fn crashed() -> TestAgent {
    let mut agent = TestAgent::start();
    let id = agent.create();
    let init = agent.init_pid(id);
    agent.kill();
    wait_until("the init has ended", || !is_alive(init));
    agent
}

fn works(agent: &TestAgent) {
    assert_eq!(agent.create(), 0);
    assert_eq!(agent.shell_ok(0, "echo fine"), "fine");
    agent.client().destroy(0).unwrap();
}

#[test]
fn who_binds_it_first_does_not_keep_containers_from_starting() {
    let mut agent = TestAgent::start();
    let squatter = squat(&agent);
    works(&agent);
    drop(squatter);
    works(&agent);
    assert_eq!(agent.stop(), Some(0));
    let left = fs::read_dir(agent.path("mounts")).unwrap().flatten();
    let left: Vec<_> = left.map(|entry| entry.file_name()).collect();
    assert!(
        !left
            .iter()
            .any(|it| it.to_string_lossy().starts_with("lxc-path")),
        "{left:?}"
    );
}

#[test]
fn who_never_answers_holds_up_neither_the_next_agent_nor_its_end() {
    let mut agent = crashed();
    let _squatter = squat(&agent);
    agent.start_agent();
    works(&agent);
    assert_eq!(agent.stop(), Some(0));
}

#[test]
fn who_answers_makes_the_next_agent_end_no_process() {
    let mut agent = crashed();
    let squatter = squat(&agent);
    let mut victim = Victim::start();
    let named = victim.child();
    thread::spawn(move || {
        for stream in squatter.incoming() {
            let mut stream = stream.unwrap();
            let mut request = [0; 16];
            if stream.read_exact(&mut request).is_err() {
                continue;
            }
            let command = u32::from_ne_bytes(request[..4].try_into().unwrap());
            let data = match command {
                GET_STATE => RUNNING,
                _ => u64::from(named),
            };
            // No error, no data that follows, and a value.
            let mut answer = [0; 16];
            answer[8..].copy_from_slice(&data.to_ne_bytes());
            let _ = stream.write_all(&answer);
        }
    });
    agent.start_agent();
    works(&agent);
    assert!(is_alive(named));
    assert!(matches!(victim.0.try_wait(), Ok(None)));
}

/// A process of the host with a child.
struct Victim(Child);

impl Victim {
    fn start() -> Self {
        let mut shell = Command::new("sh");
        Self(shell.args(["-c", "sleep 1000 & wait"]).spawn().unwrap())
    }

    fn child(&self) -> u32 {
        let path = format!("/proc/{0}/task/{0}/children", self.0.id());
        let read = || fs::read_to_string(&path).unwrap();
        wait_until("the process has a child", || !read().is_empty());
        read().trim().parse().unwrap()
    }
}

impl Drop for Victim {
    fn drop(&mut self) {
        signal(self.child(), "KILL");
        let _ = self.0.wait();
    }
}
