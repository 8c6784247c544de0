//! The users of compositor and sound servers: whichever user of a container an app is, it reaches
//! what its capabilities give, and nobody else does.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod compositor;
mod newer_debian;
mod pipewire_daemon;
mod support;
mod unable;

use std::{
    fs,
    os::unix::{
        fs::{MetadataExt as _, PermissionsExt as _},
        net::UnixListener,
    },
    path::{Path, PathBuf},
    process::Command,
};

use compositor::Compositor;
use pipewire_daemon::PipeWire;
use support::{Setup, TestAgent};
use tempfile::TempDir;

const MANIFEST: &str = r#"{"version": "1", "capabilities": [
    {"name": "test.all", "gateways": [
        {"id": "wayland", "config": [{"enabled": true}]},
        {"id": "pipewire", "config": [{"playback": true}]},
        {"id": "pulseaudio", "config": [{"audio": true}]}]},
    {"name": "test.screen", "gateways": [{"id": "wayland", "config": [{"enabled": true}]}]},
    {"name": "test.sound", "gateways": [{"id": "pulseaudio", "config": [{"audio": true}]}]}
]}"#;
/// What apps of any user do.
const CLIENTS: [&str; 3] = ["wayland-info", "pw-cli info 0", "pactl info"];

/// What comes of connecting to a socket.
const CONNECT: &str = r"
import socket, sys
try:
    socket.socket(socket.AF_UNIX).connect(sys.argv[1])
    print('connected')
except OSError as error:
    print(type(error).__name__)
";
/// Users of containers.
const USERS: [u32; 4] = [0, 1, 1000, 65533];
/// A user of the host that has nothing to do with any container.
const STRANGER: u32 = 70_012;

fn container(agent: &TestAgent, user: u32) -> i32 {
    let options = format!(r#"[{{"writeBufferEnabled": false, "userID": {user}}}]"#);
    let id = agent.client().create(&options).unwrap();
    assert_eq!(agent.shell_ok(id, "id -u"), user.to_string());
    id
}

/// As this user of the host.
fn by_host(user: u32, socket: &Path) -> String {
    let user = user.to_string();
    let output = Command::new("setpriv")
        .args(["--reuid", &user, "--regid", &user, "--clear-groups"])
        .args(["/usr/bin/python3", "-c", CONNECT])
        .arg(socket)
        .output()
        .unwrap();
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

fn by_app(agent: &TestAgent, id: i32, name: &str) -> String {
    agent.shell_ok(id, &format!("python3 -c \"{CONNECT}\" /gateways/{name}"))
}

/// The servers' sockets are their own user's alone.
#[test]
fn apps_of_any_user_reach_the_servers_and_strangers_do_not() {
    let (Some(compositor), Some(mut pipewire)) = (Compositor::labwc(), PipeWire::started()) else {
        return;
    };
    pipewire.start_pulse();
    let sockets = [
        compositor.socket(),
        pipewire.socket(),
        pipewire.pulse_socket(),
    ];
    for socket in &sockets {
        fs::set_permissions(socket, fs::Permissions::from_mode(0o700)).unwrap();
    }
    for mode in ["off", "required"] {
        let mut setup = Setup::manifest(MANIFEST);
        setup.config = format!(
            "wayland-socket = {}\npipewire-socket = {}\npulse-socket = {}\n\
             wayland-security-context = {mode}",
            sockets[0].display(),
            sockets[1].display(),
            sockets[2].display()
        );
        let agent = TestAgent::with(&setup);
        for user in USERS {
            let id = container(&agent, user);
            agent.client().set_capabilities(id, &["test.all"]).unwrap();
            for client in CLIENTS {
                agent.shell_ok(id, &format!("timeout 20 {client}"));
            }
            for socket in &sockets {
                assert_eq!(by_host(STRANGER, socket), "PermissionError", "{socket:?}");
            }
            agent.client().destroy(id).unwrap();
        }
    }
}

/// A directory on a file system that cannot show files with other owners, as tmpfs before Linux
/// 6.3.
struct Unmappable(TempDir);

impl Unmappable {
    fn new() -> Self {
        let dir = TempDir::with_prefix("sc-unmappable-").unwrap();
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
        for name in ["lower", "upper", "work", "merged"] {
            fs::create_dir(dir.path().join(name)).unwrap();
        }
        let path = dir.path().display();
        let options = format!("lowerdir={path}/lower,upperdir={path}/upper,workdir={path}/work");
        let mounted = Command::new("mount")
            .args(["-t", "overlay", "overlay", "-o", &options])
            .arg(dir.path().join("merged"))
            .status();
        assert!(mounted.unwrap().success());
        Self(dir)
    }

    fn socket(&self) -> PathBuf {
        self.0.path().join("merged/socket")
    }
}

impl Drop for Unmappable {
    fn drop(&mut self) {
        let merged = self.0.path().join("merged");
        let _ = Command::new("umount").arg("-l").arg(merged).status();
    }
}

#[test]
fn apps_of_any_user_reach_sockets_whose_owners_cannot_be_mapped_as_long_as_they_may() {
    let place = Unmappable::new();
    let socket = place.socket();
    let _server = UnixListener::bind(&socket).unwrap();
    fs::set_permissions(&socket, fs::Permissions::from_mode(0o700)).unwrap();
    let mut setup = Setup::manifest(MANIFEST);
    setup.config = format!(
        "wayland-socket = {0}\npulse-socket = {0}\nwayland-security-context = off",
        socket.display()
    );
    let agent = TestAgent::with(&setup);
    for (capability, name) in [("test.screen", "socket"), ("test.sound", "pulse_socket")] {
        for user in USERS {
            let [id, other] = [container(&agent, user), container(&agent, user)];
            let client = agent.client();
            client.set_capabilities(id, &[capability]).unwrap();
            assert_eq!(by_app(&agent, id, name), "connected", "{user}");
            let user_of = |id: i32| fs::metadata(agent.container_dir(id).join("gateways"));
            let [own, others] = [id, other].map(|id| user_of(id).unwrap().uid());
            assert_ne!(own, others);
            for (stranger, comes) in [
                (own, "connected"),
                (others, "PermissionError"),
                (STRANGER, "PermissionError"),
            ] {
                assert_eq!(by_host(stranger, &socket), comes, "{user} {stranger}");
            }
            client.destroy(id).unwrap();
            assert_eq!(by_host(own, &socket), "PermissionError", "{user}");
            client.destroy(other).unwrap();
        }
    }
    assert_eq!(fs::metadata(&socket).unwrap().mode() & 0o777, 0o700);
}
