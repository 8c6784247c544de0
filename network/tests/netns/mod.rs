//! Throw-away network namespaces for tests: nothing that a test does in them can be seen outside,
//! and they end with it.

#![allow(dead_code)] // Each test binary uses its part.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

pub mod probe;

use std::{
    fs::File,
    os::{
        fd::{AsFd, AsRawFd, BorrowedFd},
        unix::process::CommandExt,
    },
    process::{Child, Command, Output, Stdio},
    time::Duration,
};

use nix::sched::{CloneFlags, unshare};
use softwarecontainer_network::{Netlink, namespace};

/// A network namespace, as long as this value (or a process in it) lives.
pub struct Namespace(File);

impl Namespace {
    /// A new one, with loopback up.
    pub fn new() -> Self {
        let file = std::thread::spawn(|| {
            unshare(CloneFlags::CLONE_NEWNET).unwrap();
            File::open("/proc/thread-self/ns/net").unwrap()
        });
        let namespace = Self(file.join().unwrap());
        namespace.ip("link set lo up");
        // A new namespace has the value of the first one.
        namespace.shell("sysctl -qw net.ipv4.ip_forward=0");
        namespace
    }

    /// The one of a running process.
    pub fn of_process(pid: u32) -> Self {
        Self(File::open(format!("/proc/{pid}/ns/net")).unwrap())
    }

    /// The same namespace again, for another thread.
    pub fn of_same(other: &Self) -> Self {
        Self(other.0.try_clone().unwrap())
    }

    pub fn fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }

    /// Runs `work` in a thread in the namespace.
    pub fn run<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        namespace::inside(self.fd(), work).unwrap()
    }

    /// A command that will run in the namespace.
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        self.enter(&mut command);
        command
    }

    /// Makes `command` run in the namespace.
    pub fn enter(&self, command: &mut Command) {
        let fd = self.0.as_raw_fd();
        let enter = move || {
            // SAFETY: setns(2) takes two numbers; the descriptor is open, because this value
            // outlives the spawn.
            match unsafe { libc::setns(fd, libc::CLONE_NEWNET) } {
                0 => Ok(()),
                _ => Err(std::io::Error::last_os_error()),
            }
        };
        // SAFETY: setns(2) is async-signal-safe, and nothing else happens in the closure.
        unsafe { command.pre_exec(enter) };
    }

    /// Runs a command line, split at spaces, whatever its end.
    pub fn try_run(&self, line: &str) -> Output {
        let mut words = line.split(' ');
        self.command(words.next().unwrap())
            .args(words)
            .stdin(Stdio::null())
            .output()
            .unwrap()
    }

    /// Runs a command line that must succeed, and returns what it prints.
    pub fn shell(&self, line: &str) -> String {
        let output = self.try_run(line);
        assert!(
            output.status.success(),
            "{line}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// `ip …`
    pub fn ip(&self, arguments: &str) -> String {
        self.shell(&format!("ip {arguments}"))
    }

    /// Starts a server that is killed when the result is dropped.
    pub fn serve(&self, program: &str, arguments: &[&str]) -> Server {
        let child = self
            .command(program)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Server(child)
    }

    /// Connects two namespaces with a veth pair; both ends are up and have the given addresses.
    pub fn connect(
        &self,
        name: &str,
        addresses: &[&str],
        other: &Self,
        other_name: &str,
        other_addresses: &[&str],
    ) {
        let fd = format!("/proc/{}/fd/{}", std::process::id(), other.0.as_raw_fd());
        self.ip(&format!(
            "link add {name} type veth peer name {other_name} netns {fd}"
        ));
        for (namespace, name, addresses) in [
            (self, name, addresses),
            (other, other_name, other_addresses),
        ] {
            for address in addresses {
                let nodad = if address.contains(':') { " nodad" } else { "" };
                namespace.ip(&format!("address add {address} dev {name}{nodad}"));
            }
            namespace.ip(&format!("link set {name} up"));
        }
        for (namespace, name) in [(self, name), (other, other_name)] {
            let wait = || {
                Netlink::open()
                    .unwrap()
                    .wait_until_running(name, Duration::from_secs(5))
                    .unwrap()
            };
            assert!(namespace.run(wait), "{name} has no carrier");
        }
    }
}

/// A process that ends with this value.
pub struct Server(Child);

impl Server {
    /// Its process ID.
    pub fn pid(&self) -> u32 {
        self.0.id()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
