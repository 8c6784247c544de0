//! Compositor, PipeWire, its session manager and its server for PulseAudio's clients, restarted in
//! any order while apps run.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod compositor;
mod newer_debian;
mod pipewire_daemon;
mod support;
mod unable;

use std::{
    fs,
    process::{Child, Command, Stdio},
};

use compositor::Compositor;
use pipewire_daemon::PipeWire;
use support::{Setup, TestAgent, wait_until};

const MANIFEST: &str = r#"{"version": "1", "capabilities": [
    {"name": "test.all", "gateways": [
        {"id": "wayland", "config": [{"enabled": true}]},
        {"id": "pipewire", "config": [{"playback": true}]},
        {"id": "pulseaudio", "config": [{"audio": true}]}]}
]}"#;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Server {
    Compositor,
    Daemon,
    Manager,
    Pulse,
}
use Server::{Compositor as Screen, Daemon, Manager, Pulse};

/// All servers, and an app that may use them.
struct Car {
    compositor: Compositor,
    pipewire: PipeWire,
    stopped: Vec<Server>,
    agent: TestAgent,
    id: i32,
}

impl Car {
    fn start() -> Option<Self> {
        let (compositor, mut pipewire) = (Compositor::labwc()?, PipeWire::started()?);
        pipewire.start_pulse();
        let mut setup = Setup::manifest(MANIFEST);
        setup.config = format!(
            "wayland-socket = {}\npipewire-socket = {}\npulse-socket = {}",
            compositor.socket().display(),
            pipewire.socket().display(),
            pipewire.pulse_socket().display()
        );
        let agent = TestAgent::with(&setup);
        let options = r#"[{"writeBufferEnabled": false, "userID": 1000}]"#;
        let client = agent.client();
        let id = client.create(options).unwrap();
        let tone = pipewire.tone();
        let tone = tone.to_str().unwrap();
        client.bind_mount(id, tone, "/tone.wav", true).unwrap();
        client.set_capabilities(id, &["test.all"]).unwrap();
        let stopped = Vec::new();
        Some(Self {
            compositor,
            pipewire,
            stopped,
            agent,
            id,
        })
    }

    fn stop(&mut self, server: Server) {
        match server {
            Screen => self.compositor.stop(),
            Daemon => self.pipewire.stop_daemon(),
            Manager => self.pipewire.stop_manager(),
            Pulse => self.pipewire.stop_pulse(),
        }
        self.stopped.push(server);
    }

    /// Starts what was stopped, in this order; what needs PipeWire as soon as that is there, as a
    /// service manager that tries again.
    fn start_all(&mut self, order: &[Server]) {
        let needs = |server: Server| matches!(server, Manager | Pulse);
        while !self.stopped.is_empty() {
            for &server in order {
                let is_stopped = |it: Server| self.stopped.contains(&it);
                if !is_stopped(server) || needs(server) && is_stopped(Daemon) {
                    continue;
                }
                match server {
                    Screen => self.compositor.start(),
                    Daemon => self.pipewire.start_daemon(),
                    Manager => self.pipewire.start_manager(),
                    Pulse => self.pipewire.start_pulse(),
                }
                self.stopped.retain(|it| *it != server);
            }
        }
    }
}

/// Which of the app's clients connect, over and over.
const CLIENTS: [(&str, &str); 3] = [
    ("wayland", "wayland-info"),
    ("native", "pw-play /tone.wav"),
    ("pulse", "paplay /tone.wav"),
];

#[test]
fn servers_are_restarted_in_any_order_while_apps_run() {
    let Some(mut car) = Car::start() else {
        return;
    };
    let mut apps = Vec::new();
    for (name, client) in CLIENTS {
        let command = format!(
            "sh -c 'while :; do timeout 20 {client} >/dev/null && echo >>/tmp/{name}; sleep 0.1; \
             done'"
        );
        let agent = car.agent.client();
        apps.push(agent.execute(car.id, &command, "", "", &[]).unwrap());
    }
    let tmp = car.agent.container_dir(car.id).join("rootfs/tmp");
    let served = || CLIENTS.map(|(name, _)| fs::read(tmp.join(name)).map_or(0, |it| it.len()));
    for order in [
        [Screen, Daemon, Manager, Pulse],
        [Daemon, Manager, Pulse, Screen],
        [Manager, Pulse, Screen, Daemon],
        [Pulse, Screen, Daemon, Manager],
        [Pulse, Manager, Daemon, Screen],
        [Daemon, Screen, Pulse, Manager],
    ] {
        for server in order {
            car.stop(server);
        }
        car.start_all(&order);
        // What had connected before the last one was there may go on.
        for _ in 0..2 {
            let before = served();
            wait_until(&format!("all are served after {order:?}"), || {
                served()
                    .iter()
                    .zip(before)
                    .all(|(now, before)| *now > before)
            });
        }
        assert!(apps.iter().all(|pid| support::is_alive(*pid)));
    }
    car.agent.client().destroy(car.id).unwrap();
}

/// A client of the host.
fn on_host(car: &Car, client: &str) -> Child {
    let run = car.pipewire.socket();
    let pulse = format!("unix:{}", car.pipewire.pulse_socket().display());
    Command::new("sh")
        .args(["-c", &format!("exec {client}")])
        .env("XDG_RUNTIME_DIR", car.compositor.dir.path())
        .env("WAYLAND_DISPLAY", "wayland-0")
        .env("PIPEWIRE_RUNTIME_DIR", run.parent().unwrap())
        .env("PULSE_SERVER", pulse)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

#[test]
fn running_app_sees_of_a_restart_what_a_client_of_the_host_sees() {
    let Some(mut car) = Car::start() else {
        return;
    };
    for (client, library, ends_with, goes_on_without) in [
        ("weston-simple-shm", "libwayland-client", Screen, Daemon),
        ("pw-mon", "libpipewire", Daemon, Manager),
        ("paplay --raw /dev/zero", "libpulse", Pulse, Screen),
    ] {
        let mut plain = on_host(&car, client);
        let command = format!("sh -c \"exec {client}\"");
        let agent = car.agent.client();
        let app = agent.execute(car.id, &command, "", "", &[]).unwrap();
        for pid in [plain.id(), app] {
            wait_until("the client runs", || {
                let maps = fs::read_to_string(format!("/proc/{pid}/maps")).unwrap_or_default();
                let sockets = fs::read_dir(format!("/proc/{pid}/fd"))
                    .into_iter()
                    .flatten();
                let is_socket = |it: fs::DirEntry| {
                    let link = fs::read_link(it.path()).unwrap_or_default();
                    link.to_string_lossy().starts_with("socket:")
                };
                maps.contains(library) && sockets.flatten().any(is_socket)
            });
        }
        car.stop(goes_on_without);
        car.start_all(&[Screen, Daemon, Manager, Pulse]);
        assert!(plain.try_wait().unwrap().is_none(), "{client}");
        assert!(support::is_alive(app), "{client}");
        car.stop(ends_with);
        let status = plain.wait().unwrap().code();
        let ended = car.agent.client().wait_ended(car.id, app);
        let ended = i32::try_from(ended.exit_code >> 8).unwrap();
        assert_eq!(Some(ended), status, "{client}");
        car.start_all(&[Screen, Daemon, Manager, Pulse]);
    }
    car.agent.client().destroy(car.id).unwrap();
}
