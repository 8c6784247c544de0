//! Several displays and sound zones: real compositors and sound servers, and what reaches which.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod newer_debian;
mod pipewire_daemon;
mod pulse;
mod support;
mod unable;
mod weston;

use pipewire_daemon::{PipeWire, TONE};
use pulse::{Pulse, amplitude};
use support::{Setup, TestAgent, signal, wait_until};
use weston::Weston;

const MANIFEST: &str = r#"{"version": "1", "capabilities": [
    {"name": "test.driver", "gateways": [{"id": "wayland", "config": [{"enabled": true}]}]},
    {"name": "test.rear", "gateways": [
        {"id": "wayland", "config": [{"enabled": true, "display": "rear"}]}]},
    {"name": "test.roof", "gateways": [
        {"id": "wayland", "config": [{"enabled": true}, {"enabled": true, "display": "roof"}]}]},
    {"name": "test.sound.driver", "gateways": [{"id": "pulseaudio", "config": [{"audio": true}]}]},
    {"name": "test.sound.rear", "gateways": [
        {"id": "pulseaudio", "config": [{"audio": true, "zone": "rear"}]}]},
    {"name": "test.native.rear", "gateways": [
        {"id": "pipewire", "config": [{"playback": true, "zone": "rear"}]}]}
]}"#;
/// What is well above what anything else than a tone has at its frequency.
const AUDIBLE: f64 = 400.0;

fn agent(config: String) -> TestAgent {
    let mut setup = Setup::manifest(MANIFEST);
    setup.config = config;
    TestAgent::with(&setup)
}

fn agent_of(driver: &Weston, rear: &Weston) -> TestAgent {
    agent(format!(
        "wayland-socket = {}\nwayland-display.rear = {}",
        driver.socket().display(),
        rear.socket().display()
    ))
}

fn draw(agent: &TestAgent, id: i32, command: &str) -> u32 {
    let output = agent.path("client");
    let output = output.to_str().unwrap();
    agent
        .client()
        .execute(id, command, "", output, &[])
        .unwrap()
}

fn end(agent: &TestAgent, id: i32, pid: u32) {
    signal(pid, "TERM");
    agent.client().wait_ended(id, pid);
}

#[test]
fn app_draws_on_the_display_that_its_capability_names() {
    let (driver, mut rear) = (Weston::started(), Weston::started());
    let agent = agent_of(&driver, &rear);
    let id = agent.create();
    agent.client().set_capabilities(id, &["test.rear"]).unwrap();
    let variables = agent.shell_ok(id, "echo $WAYLAND_DISPLAY; ls /gateways");
    assert_eq!(variables, "display-rear\ndisplay-rear");
    for _ in 0..2 {
        let pid = draw(&agent, id, "weston-simple-shm");
        wait_until("the client is seen in the rear", || rear.shows_client());
        assert!(driver.shows_nothing());
        end(&agent, id, pid);
        rear.stop();
        rear.start();
    }
    agent.client().destroy(id).unwrap();
}

#[test]
fn app_with_two_displays_has_the_drivers_first_and_the_other_by_name() {
    let (driver, rear) = (Weston::started(), Weston::started());
    let agent = agent_of(&driver, &rear);
    let id = agent.create();
    for capability in ["test.rear", "test.driver"] {
        agent.client().set_capabilities(id, &[capability]).unwrap();
    }
    let variables = agent.shell_ok(id, "echo $WAYLAND_DISPLAY; ls /gateways");
    assert_eq!(variables, "display\ndisplay\ndisplay-rear");
    let first = draw(&agent, id, "weston-simple-shm");
    wait_until("the client is seen by the driver", || driver.shows_client());
    assert!(rear.shows_nothing());
    end(&agent, id, first);
    wait_until("it is gone", || driver.shows_nothing());
    let other = "sh -c 'WAYLAND_DISPLAY=display-rear exec weston-simple-shm'";
    let second = draw(&agent, id, other);
    wait_until("the client is seen in the rear", || rear.shows_client());
    assert!(driver.shows_nothing());
    end(&agent, id, second);
    agent.client().destroy(id).unwrap();
}

#[test]
fn display_that_the_configuration_does_not_name_opens_nothing() {
    let (driver, rear) = (Weston::started(), Weston::started());
    let agent = agent_of(&driver, &rear);
    let id = agent.create();
    let refused = agent.client().set_capabilities(id, &["test.roof"]);
    let (_, text) = refused.unwrap_err();
    assert!(text.contains("no wayland-display.roof"), "{text}");
    assert_eq!(
        agent.shell_ok(id, "echo $WAYLAND_DISPLAY; ls /gateways"),
        ""
    );
    agent.client().set_capabilities(id, &["test.rear"]).unwrap();
    assert_eq!(agent.shell_ok(id, "ls /gateways"), "display-rear");
    agent.client().destroy(id).unwrap();
}

#[test]
fn tone_is_heard_in_the_zone_that_the_capability_names() {
    let (driver, rear) = (Pulse::started(), Pulse::started());
    let Some(pipewire) = PipeWire::prepared() else {
        return;
    };
    let agent = agent(format!(
        "pulse-socket = {}\npulse-zone.rear = {}",
        driver.socket().display(),
        rear.socket().display()
    ));
    let plays = |id: i32| {
        let (status, output) = agent.shell(id, "timeout 10 paplay /tone.wav");
        assert_eq!(status, 0, "{output}");
    };
    let tone = pipewire.tone();
    for (capability, server, near, far) in [
        ("test.sound.rear", "pulse_socket-rear", &rear, &driver),
        ("test.sound.driver", "pulse_socket", &driver, &rear),
    ] {
        let id = agent.create();
        let client = agent.client();
        client
            .bind_mount(id, tone.to_str().unwrap(), "/tone.wav", true)
            .unwrap();
        client.set_capabilities(id, &[capability]).unwrap();
        let variable = agent.shell_ok(id, "echo $PULSE_SERVER");
        assert_eq!(variable, format!("unix:/gateways/{server}"));
        assert!(amplitude(&near.record(|| plays(id)), TONE) > AUDIBLE);
        assert!(amplitude(&far.record(|| plays(id)), TONE) < AUDIBLE);
        client.destroy(id).unwrap();
    }
}

#[test]
fn tone_through_the_native_socket_is_heard_in_the_zone_that_the_capability_names() {
    let (Some(driver), Some(rear)) = (PipeWire::started(), PipeWire::started()) else {
        return;
    };
    let agent = agent(format!(
        "pipewire-socket = {}\npipewire-zone.rear = {}",
        driver.socket().display(),
        rear.socket().display()
    ));
    let id = agent.create();
    let client = agent.client();
    let tone = rear.tone();
    client
        .bind_mount(id, tone.to_str().unwrap(), "/tone.wav", true)
        .unwrap();
    client.set_capabilities(id, &["test.native.rear"]).unwrap();
    let variables = agent.shell_ok(id, "echo $PIPEWIRE_REMOTE; ls /gateways");
    assert_eq!(variables, "pipewire-rear\npipewire-rear");
    let plays = || {
        let (status, output) = agent.shell(id, "timeout 10 pw-play /tone.wav");
        assert_eq!(status, 0, "{output}");
    };
    assert!(amplitude(&rear.record(plays), TONE) > AUDIBLE);
    assert!(amplitude(&driver.record(plays), TONE) < AUDIBLE);
    client.destroy(id).unwrap();
}
