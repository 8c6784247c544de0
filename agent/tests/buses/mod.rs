//! A system bus with a service on it, and manifests with rules for it.
#![allow(dead_code, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{
    fs,
    io::{BufRead as _, BufReader},
    os::unix::fs::PermissionsExt as _,
    process::{Child, Command, Stdio},
};

use tempfile::TempDir;

/// A system bus, and a service on it.
pub struct SystemBus {
    pub address: String,
    pub children: Vec<Child>,
    _dir: TempDir,
}

const CONFIG: &str = r#"<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig><type>system</type><listen>ADDRESS</listen><policy context="default"><allow user="*"/><allow own="*"/>
<allow send_type="method_call"/><allow send_type="signal"/>
<allow send_requested_reply="true" send_type="method_return"/>
<allow send_requested_reply="true" send_type="error"/>
<allow receive_type="method_call"/><allow receive_type="method_return"/>
<allow receive_type="error"/><allow receive_type="signal"/></policy>MORE</busconfig>"#;

impl SystemBus {
    pub fn start() -> Self {
        Self::with("")
    }

    /// A bus with more in its configuration.
    pub fn with(more: &str) -> Self {
        let dir = TempDir::with_prefix("sc-bus-").unwrap();
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let config = dir.path().join("bus.conf");
        let address = format!("unix:path={}/bus", dir.path().display());
        fs::write(
            &config,
            CONFIG.replace("ADDRESS", &address).replace("MORE", more),
        )
        .unwrap();
        let mut bus = Command::new("dbus-daemon");
        bus.arg(format!("--config-file={}", config.display()));
        bus.args(["--nofork", "--print-address=1"]);
        let bus = ready(&mut bus);
        let service = service(&address);
        Self {
            address,
            children: vec![service, bus],
            _dir: dir,
        }
    }
}

impl Drop for SystemBus {
    fn drop(&mut self) {
        for child in &mut self.children {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// The test service of the proxy's own tests: `org.example.Service` with `Echo` and others.
pub fn service(address: &str) -> Child {
    let script = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../dbus-proxy/tests/support/service.py"
    );
    ready(Command::new("/usr/bin/python3").args([script, address, "org.example.Service"]))
}

/// Starts a program that prints a line when it is ready.
pub fn ready(command: &mut Command) -> Child {
    let command = command.stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.as_mut().unwrap())
        .read_line(&mut line)
        .unwrap();
    assert!(!line.is_empty(), "{command:?} did not start");
    child
}

/// A rule for a method of the service.
pub fn rule(direction: &str, method: &str) -> String {
    format!(
        r#"{{"direction": "{direction}", "interface": "org.example.Test", "object-path": "/org/example/*", "method": "{method}"}}"#
    )
}

/// A manifest of capabilities, each a name and the configuration of the dbus gateway.
pub fn manifest(capabilities: &[(&str, String)]) -> String {
    let capabilities: Vec<String> = capabilities
        .iter()
        .map(|(name, config)| {
            format!(r#"{{"name": "{name}", "gateways": [{{"id": "dbus", "config": [{config}]}}]}}"#)
        })
        .collect();
    format!(
        r#"{{"version": "1", "capabilities": [{}]}}"#,
        capabilities.join(",")
    )
}

/// Rules for the system bus.
pub fn system(rules: &[String]) -> String {
    format!(r#"{{"dbus-gateway-config-system": [{}]}}"#, rules.join(","))
}

/// Rules for the session bus.
pub fn session(rules: &[String]) -> String {
    format!(
        r#"{{"dbus-gateway-config-session": [{}]}}"#,
        rules.join(",")
    )
}
