//! Attacks on the sockets of other containers and of the host, by an app that has some of its own.

use std::{fs, os::unix::fs::MetadataExt as _, path::PathBuf, process::Command};

use super::without;
use crate::{
    compositor::Compositor,
    pipewire_daemon::PipeWire,
    support::{Setup, TestAgent, wait_until},
};

const MANIFEST: &str = r#"{"version": "1", "capabilities": [
    {"name": "test.both", "gateways": [
        {"id": "wayland", "config": [{"enabled": true}]},
        {"id": "pipewire", "config": [{"playback": true}]}]}
]}"#;
/// The sockets of each container.
const NAMES: [&str; 2] = ["pipewire-0", "wayland-0"];
/// Tells whether a client can connect.
const CONNECT: &str = r"
import socket, sys
try:
    socket.socket(socket.AF_UNIX).connect(sys.argv[1])
    print('connected')
except OSError as error:
    print(type(error).__name__)
";

struct Attacked {
    agent: TestAgent,
    attacker: i32,
    victim: i32,
    pipewire: PipeWire,
    compositor: Compositor,
}

impl Attacked {
    /// An attacker, and another app that has the same.
    fn start() -> Option<Self> {
        let (pipewire, compositor) = (PipeWire::started()?, Compositor::labwc()?);
        let mut setup = Setup::manifest(MANIFEST);
        setup.config = format!(
            "pipewire-socket = {}\nwayland-socket = {}\nwayland-security-context = required",
            pipewire.socket().display(),
            compositor.socket().display()
        );
        if without("user-namespace") {
            setup.config += "\nuser-namespace = off";
        }
        let agent = TestAgent::with(&setup);
        let [attacker, victim] = [agent.create(), agent.create()];
        for id in [attacker, victim] {
            let client = agent.client();
            client.set_capabilities(id, &["test.both"]).unwrap();
        }
        Some(Self {
            agent,
            attacker,
            victim,
            pipewire,
            compositor,
        })
    }

    /// The host's paths of the victim's sockets.
    fn of_victim(&self) -> [PathBuf; 2] {
        let gateways = self.agent.container_dir(self.victim).join("gateways");
        NAMES.map(|name| gateways.join(name))
    }

    /// What comes of connecting as this user of the host.
    fn on_host(user: u32, socket: &PathBuf) -> String {
        let user = user.to_string();
        let mut command = Command::new("setpriv");
        command.args(["--reuid", &user, "--regid", &user, "--clear-groups"]);
        let output = command
            .args(["/usr/bin/python3", "-c", CONNECT])
            .arg(socket)
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    fn by_attacker(&self, path: &str) -> String {
        let attack = format!("python3 -c \"{CONNECT}\" {path}");
        self.agent.shell_ok(self.attacker, &attack)
    }
}

#[test]
fn no_path_leads_an_app_to_sockets_of_others() {
    let Some(attacked) = Attacked::start() else {
        return;
    };
    let mut sockets = attacked.of_victim().to_vec();
    sockets.push(attacked.pipewire.socket());
    sockets.push(attacked.compositor.socket());
    for socket in &sockets {
        assert_eq!(Attacked::on_host(0, socket), "connected", "{socket:?}");
        let socket = socket.to_str().unwrap();
        for path in [
            socket.to_owned(),
            format!("/proc/1/root{socket}"),
            format!("/proc/self/root/../../../..{socket}"),
            format!("/gateways/../../../../..{socket}"),
        ] {
            let said = attacked.by_attacker(&path);
            let refused = ["FileNotFoundError", "PermissionError"];
            assert!(refused.contains(&said.as_str()), "{path}: {said}");
        }
    }
    // All that it has.
    let listed = attacked
        .agent
        .shell_ok(attacked.attacker, "ls -A /gateways");
    assert_eq!(listed, NAMES.join("\n"));
    for name in NAMES {
        let said = attacked.by_attacker(&format!("/gateways/{name}"));
        assert_eq!(said, "connected", "{name}");
    }
}

/// Were it to break out of its root tree, its user would still be a stranger.
#[test]
fn user_of_an_app_reaches_no_sockets_of_others_by_the_hosts_paths() {
    let Some(attacked) = Attacked::start() else {
        return;
    };
    let init = attacked.agent.init_pid(attacked.attacker);
    let user = fs::metadata(format!("/proc/{init}")).unwrap().uid();
    for socket in attacked.of_victim() {
        assert_eq!(Attacked::on_host(0, &socket), "connected", "{socket:?}");
        let said = Attacked::on_host(user, &socket);
        assert_eq!(said, "PermissionError", "{user}: {socket:?}");
    }
}

#[test]
fn what_an_app_puts_in_the_place_of_its_sockets_changes_nothing_of_the_host() {
    let Some(mut attacked) = Attacked::start() else {
        return;
    };
    let sockets = [attacked.pipewire.socket(), attacked.compositor.socket()];
    let state = |socket: &PathBuf| {
        let status = fs::metadata(socket).unwrap();
        (status.ino(), status.mode(), status.uid())
    };
    let hosts_pipewire = state(&sockets[0]);
    let victims = attacked.of_victim().map(|socket| state(&socket));
    for (name, socket) in NAMES.iter().zip(&sockets) {
        attacked.agent.shell_ok(
            attacked.attacker,
            &format!(
                "cd /gateways && rm {name} && ln -s {} {name}",
                socket.display()
            ),
        );
    }
    // Registered again, where nothing is that was.
    attacked.compositor.stop();
    attacked.compositor.start();
    let hosts_compositor = state(&sockets[1]);
    let client = attacked.agent.client();
    client
        .set_capabilities(attacked.attacker, &["test.both"])
        .unwrap();
    wait_until("the victim's app is served", || {
        attacked.agent.shell(attacked.victim, "wayland-info").0 == 0
    });
    client.destroy(attacked.attacker).unwrap();
    assert_eq!(state(&sockets[0]), hosts_pipewire);
    assert_eq!(state(&sockets[1]), hosts_compositor);
    assert_eq!(attacked.of_victim().map(|socket| state(&socket)), victims);
    for socket in sockets.iter().chain(&attacked.of_victim()) {
        assert_eq!(Attacked::on_host(0, socket), "connected", "{socket:?}");
    }
}
