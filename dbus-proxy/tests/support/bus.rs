//! Real message buses.

use std::{
    io::{BufRead, BufReader},
    os::unix::{fs::PermissionsExt, process::CommandExt},
    process::{Child, ChildStdin, Command, Stdio},
};

use tempfile::TempDir;

/// A bus of our own, ended when dropped.
pub struct Bus {
    pub address: String,
    /// A user that it lets in.
    pub uid: u32,
    child: Child,
    /// Its end tells broker.py to end.
    stdin: Option<ChildStdin>,
    _directory: TempDir,
}

const OPEN: &str = r#"<policy context="default"><allow user="*"/><allow own="*"/>
<allow send_destination="*"/><allow receive_sender="*"/><allow eavesdrop="true"/></policy>
<limit name="max_replies_per_connection">50000</limit>"#;
/// As strict about messages as Debian's system bus, but for names.
const SYSTEM: &str = r#"<policy context="default"><allow user="*"/><allow own="*"/>
<allow send_type="method_call"/><allow send_type="signal"/>
<allow send_requested_reply="true" send_type="method_return"/>
<allow send_requested_reply="true" send_type="error"/>
<allow receive_type="method_call"/><allow receive_type="method_return"/>
<allow receive_type="error"/><allow receive_type="signal"/></policy>"#;

impl Bus {
    /// A bus for any user.
    pub fn open() -> Self {
        Self::start("custom", OPEN, 0)
    }

    /// One with the policies of a system bus.
    pub fn system() -> Self {
        Self::start("system", SYSTEM, 0)
    }

    /// dbus-broker, where it is installed.
    pub fn broker() -> Option<Self> {
        let directory = tempfile::tempdir().unwrap();
        std::fs::set_permissions(directory.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
        let socket = directory.path().join("bus");
        if Command::new("dbus-broker")
            .arg("--version")
            .output()
            .is_err()
        {
            assert!(
                std::env::var_os("SOFTWARECONTAINER_NEED_ALL").is_none(),
                "no dbus-broker"
            );
            eprintln!("dbus-broker is not installed; its part of the test is left out");
            return None;
        }
        let mut command = super::python("broker.py");
        command.arg(&socket).stdin(Stdio::piped());
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap())
            .read_line(&mut line)
            .unwrap();
        assert_eq!(line, "ready\n");
        Some(Self {
            address: format!("unix:path={}", socket.display()),
            uid: 0,
            stdin: child.stdin.take(),
            child,
            _directory: directory,
        })
    }

    /// One that lets in only its owner, like a session bus.
    pub fn session_of(uid: u32) -> Self {
        let policy = r#"<policy context="default"><allow own="*"/><allow send_destination="*" eavesdrop="true"/>
            <allow eavesdrop="true"/></policy>"#;
        Self::start("session", policy, uid)
    }

    fn start(kind: &str, policy: &str, uid: u32) -> Self {
        let directory = tempfile::tempdir().unwrap();
        std::fs::set_permissions(directory.path(), std::fs::Permissions::from_mode(0o777)).unwrap();
        let socket = directory.path().join("bus");
        let config = directory.path().join("bus.conf");
        let text = format!(
            r#"<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig><type>{kind}</type><listen>unix:path={}</listen>{policy}</busconfig>"#,
            socket.display()
        );
        std::fs::write(&config, text).unwrap();
        let mut child = Command::new("dbus-daemon")
            .arg(format!("--config-file={}", config.display()))
            .args(["--nofork", "--nopidfile", "--print-address=1"])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .uid(uid)
            .gid(uid)
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap())
            .read_line(&mut line)
            .unwrap();
        assert!(line.starts_with("unix:"), "dbus-daemon did not start");
        Self {
            address: format!("unix:path={}", socket.display()),
            uid,
            child,
            stdin: None,
            _directory: directory,
        }
    }

    pub fn path(&self) -> std::path::PathBuf {
        self.address.strip_prefix("unix:path=").unwrap().into()
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Bus {
    fn drop(&mut self) {
        if self.stdin.take().is_none() {
            let _ = self.child.kill();
        }
        let _ = self.child.wait();
    }
}
