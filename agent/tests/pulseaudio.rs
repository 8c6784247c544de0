//! A real PulseAudio daemon on the host, and clients in containers.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod pulse;
mod support;

use std::{f64::consts::TAU, fs, os::unix::fs::PermissionsExt as _, time::Duration};

use pulse::{Pulse, RATE, amplitude};
use support::{Setup, TestAgent, is_alive};

const MANIFEST: &str = r#"{"version": "1", "capabilities": [
    {"name": "test.audio", "gateways": [{"id": "pulseaudio", "config": [{"audio": true}]}]},
    {"name": "test.none", "gateways": []}
]}"#;
const TONE: f64 = 997.0;
const AMPLITUDE: f64 = 12_000.0;

/// Half a second of a tone, as samples of 16 bits.
fn tone() -> Vec<u8> {
    let sample = |n: u32| AMPLITUDE * (TAU * TONE * f64::from(n) / f64::from(RATE)).sin();
    #[allow(clippy::cast_possible_truncation)]
    let bytes = (0..RATE / 2).flat_map(|n| (sample(n) as i16).to_le_bytes());
    bytes.collect()
}

/// An agent for this server, and a container with the tone at `/tone`.
fn setup(pulse: &Pulse) -> (TestAgent, i32) {
    setup_for(pulse, 0)
}

/// [`setup`] with apps that are `user` of the container.
fn setup_for(pulse: &Pulse, user: u32) -> (TestAgent, i32) {
    let mut setup = Setup::manifest(MANIFEST);
    setup.config = format!("pulse-socket = {}", pulse.socket().display());
    setup.supervised = true;
    let agent = TestAgent::with(&setup);
    let options = format!(r#"[{{"writeBufferEnabled": false, "userID": {user}}}]"#);
    let id = agent.client().create(&options).unwrap();
    let file = agent.path("tone");
    fs::write(&file, tone()).unwrap();
    agent
        .client()
        .bind_mount(id, file.to_str().unwrap(), "/tone", true)
        .unwrap();
    (agent, id)
}

fn play(agent: &TestAgent, id: i32) -> (u32, String) {
    agent.shell(
        id,
        &format!("timeout 10 paplay --raw --format=s16le --channels=1 --rate={RATE} /tone"),
    )
}

fn plays_a_tone(pulse: &Pulse, agent: &TestAgent, id: i32) {
    agent
        .client()
        .set_capabilities(id, &["test.audio"])
        .unwrap();
    assert_eq!(
        agent.shell_ok(id, "echo $PULSE_SERVER"),
        "unix:/gateways/pulse_socket"
    );
    let silence = pulse.record(|| std::thread::sleep(Duration::from_millis(200)));
    assert!(amplitude(&silence, TONE) < 10.0);
    let recorded = pulse.record(|| {
        let (status, output) = play(agent, id);
        assert_eq!(status, 0, "{output}");
    });
    let (found, other) = (amplitude(&recorded, TONE), amplitude(&recorded, 2.5 * TONE));
    assert!(
        (AMPLITUDE * 0.9..AMPLITUDE * 1.1).contains(&found),
        "{found}"
    );
    assert!(other < AMPLITUDE / 20.0, "{other}");
    agent.client().destroy(id).unwrap();
}

#[test]
fn tone_played_in_a_container_reaches_the_hosts_sink() {
    let pulse = Pulse::started();
    let (agent, id) = setup(&pulse);
    plays_a_tone(&pulse, &agent, id);
}

#[test]
fn tone_that_another_user_than_root_plays_reaches_the_hosts_sink() {
    let pulse = Pulse::started();
    // As sound servers make it that serve their own user.
    fs::set_permissions(pulse.socket(), fs::Permissions::from_mode(0o700)).unwrap();
    let (agent, id) = setup_for(&pulse, 1000);
    assert_eq!(agent.shell_ok(id, "id -u"), "1000");
    plays_a_tone(&pulse, &agent, id);
}

#[test]
fn container_without_the_capability_hears_nothing_of_the_server() {
    let pulse = Pulse::started();
    let (agent, id) = setup(&pulse);
    agent.client().set_capabilities(id, &["test.none"]).unwrap();
    assert_eq!(agent.shell_ok(id, "echo $PULSE_SERVER; ls /gateways"), "");
    let (status, _) = agent.shell(id, "PULSE_SERVER=unix:/gateways/pulse_socket pactl info");
    assert_ne!(status, 0);
    assert_ne!(play(&agent, id).0, 0);
    agent.client().destroy(id).unwrap();
}

#[test]
fn client_library_in_the_container_uses_no_shared_memory() {
    let pulse = Pulse::started();
    let (agent, id) = setup(&pulse);
    agent
        .client()
        .set_capabilities(id, &["test.audio"])
        .unwrap();
    let config = agent.shell_ok(id, "cat /etc/pulse/client.conf");
    assert!(config.contains("enable-shm = no"), "{config}");
    agent.client().destroy(id).unwrap();
}

#[test]
fn server_that_is_restarted_is_used_again() {
    let mut pulse = Pulse::started();
    let (agent, id) = setup(&pulse);
    agent
        .client()
        .set_capabilities(id, &["test.audio"])
        .unwrap();
    agent.shell_ok(id, "pactl info");
    pulse.stop();
    assert_ne!(agent.shell(id, "pactl info").0, 0);
    pulse.start();
    agent.shell_ok(id, "pactl info");
    agent.client().destroy(id).unwrap();
}

#[test]
fn sound_goes_on_under_the_next_agent() {
    for user in [0, 1000] {
        let mut pulse = Pulse::started();
        fs::set_permissions(pulse.socket(), fs::Permissions::from_mode(0o700)).unwrap();
        let (mut agent, id) = setup_for(&pulse, user);
        let client = agent.client();
        client.set_capabilities(id, &["test.audio"]).unwrap();
        let listening = client.execute(id, "pactl subscribe", "", "", &[]).unwrap();
        agent.shell_ok(id, "pactl info");
        agent.kill();
        agent.start_agent();
        assert_eq!(agent.client().list().unwrap(), [id]);
        assert_eq!(play(&agent, id).0, 0);
        assert!(is_alive(listening), "its connection is open");
        // A server that has restarted while there was no agent.
        agent.kill();
        pulse.stop();
        pulse.start();
        agent.start_agent();
        assert_eq!(play(&agent, id).0, 0);
        agent.client().destroy(id).unwrap();
        assert!(agent.supervisor().names().is_empty());
    }
}

#[test]
fn address_that_is_no_socket_of_the_host_is_refused() {
    let mut setup = Setup::manifest(MANIFEST);
    setup.environment = vec![("PULSE_SERVER".to_owned(), "tcp:speaker:4713".to_owned())];
    let agent = TestAgent::with(&setup);
    let id = agent.create();
    let (_, text) = agent
        .client()
        .set_capabilities(id, &["test.audio"])
        .unwrap_err();
    assert!(text.contains("gateway pulseaudio"), "{text}");
    assert!(text.contains("tcp:speaker:4713"), "{text}");
    agent.client().destroy(id).unwrap();
}
