//! A bus, a service on it, and ways to it.

use std::{
    os::unix::{fs::PermissionsExt, net::UnixListener},
    path::PathBuf,
    process::{Child, Command},
    sync::Arc,
    time::{Duration, Instant},
};

use softwarecontainer_dbus_proxy::{
    address::SocketAddress,
    client::{BusAccess, Hook, Options, Proxy, Service, Spawn},
    limits,
    rule::{BusDirection, BusRule, Pattern},
};
use tempfile::TempDir;

use crate::peer::Client;

/// Rules before the one that matches: a service manifest of some size.
const RULES: usize = 20;
const NOBODY: u32 = 65534;
const CONFIG: &str = r#"<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig><type>custom</type><listen>unix:path=@/bus</listen><policy context="default">
<allow user="*"/><allow own="*"/><allow send_destination="*"/><allow receive_sender="*"/></policy></busconfig>"#;

/// A way to the service.
pub struct Route {
    pub name: &'static str,
    pub path: PathBuf,
    pub pid: Option<u32>,
    pub service: String,
}

pub struct Setup {
    directory: TempDir,
    service: String,
    proxy: Proxy,
    children: Vec<Child>,
}

impl Setup {
    pub fn start(program: PathBuf) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        std::fs::set_permissions(directory.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
        let config = CONFIG.replace('@', &directory.path().display().to_string());
        std::fs::write(path("bus.conf"), config).unwrap();
        let mut daemon = Command::new("dbus-daemon");
        daemon
            .arg("--nofork")
            .arg(format!("--config-file={}", path("bus.conf").display()));
        let daemon = daemon.spawn().unwrap();
        wait_for(&path("bus"));

        let mut xdg = Command::new("xdg-dbus-proxy");
        let xdg = xdg
            .arg(format!("unix:path={}", path("bus").display()))
            .arg(path("xdg"))
            .spawn()
            .unwrap();
        wait_for(&path("xdg"));

        let proxy = Proxy::start(Options {
            program,
            name: "bench".to_owned(),
            session: None,
            system: BusAccess {
                address: SocketAddress::Path(path("bus")),
                uid: NOBODY,
            },
            gid: NOBODY,
            connections: limits::CONNECTIONS,
            pending_calls: limits::PENDING_CALLS,
            spawn: Spawn::default(),
            restarted: Hook::default(),
            refused: None,
        })
        .unwrap();
        let listener = Arc::new(UnixListener::bind(path("ours")).unwrap().into());
        let rules = rules();
        proxy
            .serve([None, Some(Service { listener, rules })])
            .unwrap();

        let service = Client::connect(&path("bus"));
        let name = service.name.clone();
        std::thread::spawn(move || service.serve());
        Self {
            service: name,
            proxy,
            children: vec![daemon, xdg],
            directory,
        }
    }

    pub fn routes(&self) -> Vec<Route> {
        let route = |name, file: &str, pid| Route {
            name,
            path: self.directory.path().join(file),
            pid,
            service: self.service.clone(),
        };
        vec![
            route("direct", "bus", None),
            route("ours", "ours", self.proxy.pid()),
            route("xdg", "xdg", self.children.get(1).map(Child::id)),
        ]
    }
}

fn rules() -> softwarecontainer_dbus_proxy::rule::RuleSet {
    let rule = |interface: &str| BusRule {
        direction: Some(BusDirection::Outgoing),
        interface: Pattern::new(interface),
        path: Pattern::new("/*"),
        member: Pattern::new("*"),
    };
    let others = (0..RULES).map(|number| rule(&format!("com.example.Service{number}")));
    others.chain([rule("org.example.Bench")]).collect()
}

fn wait_for(path: &std::path::Path) {
    let deadline = Instant::now() + Duration::from_secs(5);
    while std::os::unix::net::UnixStream::connect(path).is_err() {
        assert!(
            Instant::now() < deadline,
            "{} does not come",
            path.display()
        );
        std::thread::sleep(Duration::from_millis(5));
    }
}

impl Drop for Setup {
    fn drop(&mut self) {
        for child in &mut self.children {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
