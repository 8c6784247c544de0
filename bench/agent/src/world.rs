//! A bus and an agent with directories and a bridge of their own.

use std::{
    fs,
    io::{BufRead as _, BufReader},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicU8, Ordering},
};

use serde_json::json;
use tempfile::TempDir;

/// Each world of a run has a bridge and a network of its own.
static NEXT: AtomicU8 = AtomicU8::new(0);

/// Everything that a run has of its own; gone at the end.
pub struct World {
    bus: Child,
    agent: Option<Child>,
    program: PathBuf,
    init: PathBuf,
    /// The bus's address.
    pub address: String,
    directory: TempDir,
    /// The agent's bridge.
    pub bridge: String,
}

impl World {
    /// A bus, and what an agent needs; `settings` are more lines of its configuration.
    pub fn new(program: &Path, init: &Path, settings: &str) -> Self {
        let directory = TempDir::with_prefix("sc-bench-").unwrap();
        let path = directory.path();
        fs::set_permissions(path, fs::Permissions::from_mode(0o711)).unwrap();
        for name in ["manifests", "default-manifests", "lxc", "shared"] {
            fs::create_dir(path.join(name)).unwrap();
        }
        fs::write(path.join("manifests/bench.json"), manifest()).unwrap();
        let net = NEXT.fetch_add(1, Ordering::Relaxed);
        let bridge = format!("scb{}-{net}", std::process::id() & 0xffff);
        let config = format!(
            "[SoftwareContainer]\n\
             use-session-bus = true\n\
             shared-mounts-dir = {path}/mounts\n\
             lxc-path = {path}/lxc\n\
             service-manifest-dir = {path}/manifests\n\
             default-service-manifest-dir = {path}/default-manifests\n\
             bridge-device = {bridge}\n\
             bridge-ip = 10.251.{net}.1\n\
             bridge-netaddr = 10.251.{net}.0\n\
             {settings}\n",
            path = path.display()
        );
        fs::write(path.join("config"), config).unwrap();
        let mut bus = Command::new("dbus-daemon")
            .args(["--session", "--nofork", "--print-address=1"])
            .arg(format!("--address=unix:path={}/bus", path.display()))
            .stdout(Stdio::piped())
            .spawn()
            .expect("dbus-daemon");
        let mut address = String::new();
        BufReader::new(bus.stdout.take().unwrap())
            .read_line(&mut address)
            .unwrap();
        Self {
            bus,
            agent: None,
            program: program.to_owned(),
            init: init.to_owned(),
            address: address.trim().to_owned(),
            directory,
            bridge,
        }
    }

    /// Starts the agent; it need not be ready when this returns.
    pub fn start(&mut self) {
        let log = fs::File::create(self.path("log")).unwrap();
        let child = Command::new(&self.program)
            .arg("--config")
            .arg(self.path("config"))
            .env("DBUS_SESSION_BUS_ADDRESS", &self.address)
            .env("SOFTWARECONTAINER_INIT", &self.init)
            .stderr(log)
            .spawn()
            .expect("the agent");
        self.agent = Some(child);
    }

    /// Ends the agent and waits for its end.
    pub fn stop(&mut self) {
        if let Some(mut agent) = self.agent.take() {
            let _ = Command::new("kill").arg(agent.id().to_string()).status();
            let status = agent.wait().unwrap();
            assert!(status.success(), "the agent ended with {status}");
        }
    }

    /// The agent's process ID.
    pub fn pid(&self) -> u32 {
        self.agent.as_ref().unwrap().id()
    }

    /// A path in the run's directory.
    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// A host directory to mount.
    pub fn shared(&self) -> String {
        self.path("shared").to_str().unwrap().to_owned()
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if let Some(mut agent) = self.agent.take() {
            let _ = Command::new("kill").arg(agent.id().to_string()).status();
            let _ = agent.wait();
        }
        let _ = self.bus.kill();
        let _ = self.bus.wait();
    }
}

/// How many rules the measured capability has, for each family of addresses.
pub const RULES: usize = 20;

fn manifest() -> String {
    let rules: Vec<_> = (0..RULES)
        .map(|number| json!({"host": format!("10.1.{number}.0/24"), "ports": 80, "protocols": "tcp"}))
        .collect();
    json!({"version": "1", "capabilities": [
        {"name": "bench.small", "gateways": [
            {"id": "env", "config": [{"name": "BENCH", "value": "1"}]},
            {"id": "file", "config": [{"path-host": "/etc/hosts", "path-container": "/mnt/hosts", "read-only": true}]},
        ]},
        {"name": "bench.wayland", "gateways": [{"id": "wayland", "config": [{"enabled": true}]}]},
        {"name": "bench.pipewire", "gateways": [{"id": "pipewire", "config": [{"playback": true}]}]},
        {"name": "bench.pulseaudio", "gateways": [{"id": "pulseaudio", "config": [{"audio": true}]}]},
        {"name": "bench.dbus", "gateways": [
            {"id": "dbus", "config": [{
                "dbus-gateway-config-session": [{"direction": "*", "interface": "*", "object-path": "*", "method": "*"}],
                "dbus-gateway-config-system": [],
            }]},
        ]},
        {"name": "bench.network", "gateways": [
            {"id": "network", "config": [{"direction": "OUTGOING", "allow": rules}]},
        ]},
    ]})
    .to_string()
}
