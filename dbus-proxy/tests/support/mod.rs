//! A bus, a proxy in front of it, and clients.
#![allow(dead_code, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

pub mod bus;
pub mod raw;
pub mod service;
pub mod zbus_client;

use std::{
    os::unix::{fs::PermissionsExt, net::UnixListener},
    path::PathBuf,
    process::{Command, Output},
    sync::Arc,
};

use softwarecontainer_dbus_proxy::{
    address::SocketAddress,
    client::{BusAccess, Hook, Options, Proxy, Service, Spawn},
    limits,
    rule::{BusDirection, BusRule, Pattern, RuleSet},
};
use tempfile::TempDir;

pub use bus::Bus;

pub const NOBODY: u32 = 65534;

/// A rule: `>` outgoing, `<` incoming or `*`, then interface, path, member.
pub fn rule(direction: &str, interface: &str, path: &str, member: &str) -> BusRule {
    BusRule {
        direction: match direction {
            ">" => Some(BusDirection::Outgoing),
            "<" => Some(BusDirection::Incoming),
            _ => None,
        },
        interface: Pattern::new(interface),
        path: Pattern::new(path),
        member: Pattern::new(member),
    }
}

pub fn rules(rules: &[(&str, &str, &str, &str)]) -> RuleSet {
    rules
        .iter()
        .map(|(direction, interface, path, member)| rule(direction, interface, path, member))
        .collect()
}

/// A proxy between a container's two sockets and two buses.
pub struct Setup {
    pub proxy: Proxy,
    pub session: Endpoint,
    pub system: Endpoint,
    _directory: TempDir,
}

/// A socket that apps connect to.
pub struct Endpoint {
    pub path: PathBuf,
    listener: Arc<std::os::fd::OwnedFd>,
}

impl Endpoint {
    pub fn new(path: PathBuf) -> Self {
        let listener = UnixListener::bind(&path).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o666)).unwrap();
        Self {
            path,
            listener: Arc::new(listener.into()),
        }
    }

    pub fn address(&self) -> String {
        format!("unix:path={}", self.path.display())
    }

    pub fn service(&self, rules: RuleSet) -> Service {
        Service {
            listener: Arc::clone(&self.listener),
            rules,
        }
    }
}

impl Setup {
    /// A proxy for `bus` as system bus, with these rules there.
    pub fn new(bus: &Bus, rules: RuleSet) -> Self {
        let setup = Self::without_rules(bus, bus);
        setup.set_rules(rules);
        setup
    }

    /// A proxy for whatever listens at `path`.
    pub fn at(path: &std::path::Path, rules: RuleSet) -> Self {
        let address = SocketAddress::Path(path.to_owned());
        let setup = Self::between((address.clone(), 0), address);
        setup.set_rules(rules);
        setup
    }

    pub fn without_rules(session: &Bus, system: &Bus) -> Self {
        Self::between(
            (session.address.parse(), session.uid),
            system.address.parse(),
        )
    }

    fn between((session, session_uid): (SocketAddress, u32), system: SocketAddress) -> Self {
        let _ = log::set_logger(&Logger);
        log::set_max_level(log::LevelFilter::Info);
        let directory = tempfile::tempdir().unwrap();
        std::fs::set_permissions(directory.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
        let options = Options {
            program: env!("CARGO_BIN_EXE_softwarecontainer-dbus-proxy").into(),
            name: "SC-test".to_owned(),
            session: Some(BusAccess {
                address: session,
                uid: session_uid,
            }),
            system: BusAccess {
                address: system,
                uid: NOBODY,
            },
            gid: NOBODY,
            connections: limits::CONNECTIONS,
            pending_calls: limits::PENDING_CALLS,
            spawn: Spawn::default(),
            restarted: Hook::default(),
            refused: None,
        };
        Self {
            proxy: Proxy::start(options).unwrap(),
            session: Endpoint::new(directory.path().join("session")),
            system: Endpoint::new(directory.path().join("system")),
            _directory: directory,
        }
    }

    pub fn set_rules(&self, rules: RuleSet) {
        self.proxy
            .serve([None, Some(self.system.service(rules))])
            .unwrap();
    }

    pub fn pid(&self) -> u32 {
        self.proxy.pid().unwrap()
    }
}

pub trait ParseAddress {
    fn parse(&self) -> softwarecontainer_dbus_proxy::address::SocketAddress;
}

impl ParseAddress for String {
    fn parse(&self) -> softwarecontainer_dbus_proxy::address::SocketAddress {
        softwarecontainer_dbus_proxy::address::SocketAddress::parse(self).unwrap()
    }
}

/// Runs a client program.
pub fn run(command: &mut Command) -> Result<String, String> {
    let Output {
        status,
        stdout,
        stderr,
    } = command
        .output()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let text = String::from_utf8_lossy(&stdout).into_owned();
    if status.success() {
        Ok(text)
    } else {
        Err(text + &String::from_utf8_lossy(&stderr))
    }
}

/// A script beside this file, run by the system's Python, which has the D-Bus modules.
pub fn python(script: &str) -> Command {
    let mut command = Command::new("/usr/bin/python3");
    command.arg(format!(
        "{}/tests/support/{script}",
        env!("CARGO_MANIFEST_DIR")
    ));
    command
}

/// How long something may take that does not depend on anybody else. More on a loaded machine:
/// seconds in the variable `SOFTWARECONTAINER_TEST_PATIENCE`.
pub fn patience() -> std::time::Duration {
    let set = std::env::var("SOFTWARECONTAINER_TEST_PATIENCE").ok();
    std::time::Duration::from_secs(
        set.and_then(|text| std::str::FromStr::from_str(&text).ok())
            .unwrap_or(10),
    )
}

/// Waits until `condition` holds.
pub fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = std::time::Instant::now() + patience();
    while !condition() {
        assert!(std::time::Instant::now() < deadline, "{what}");
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
}

/// Prints what the proxy says, for people who look at a failed test.
struct Logger;

impl log::Log for Logger {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }
    fn log(&self, record: &log::Record<'_>) {
        eprintln!("{}: {}", record.level(), record.args());
    }
    fn flush(&self) {}
}

/// What a process holds.
#[derive(Clone, Copy, Debug)]
pub struct Resources {
    pub files: usize,
    /// Anonymous memory in KiB.
    pub memory: u64,
}

pub fn resources(pid: u32) -> Resources {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status
        .lines()
        .find(|line| line.starts_with("RssAnon:"))
        .unwrap();
    Resources {
        files: std::fs::read_dir(format!("/proc/{pid}/fd"))
            .unwrap()
            .count(),
        memory: line.split_whitespace().nth(1).unwrap().parse().unwrap(),
    }
}

/// Kills a process that a test has started.
pub fn kill(pid: u32) {
    let pid = rustix::process::Pid::from_raw(pid.try_into().unwrap()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
}
