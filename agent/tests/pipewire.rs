//! A real PipeWire and its session manager on the host, and clients in containers.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod newer_debian;
mod pipewire_daemon;
mod pulse;
mod support;
mod unable;

use std::{fs, os::unix::fs::MetadataExt as _};

use pipewire_daemon::{MICROPHONE, PipeWire, TONE, samples};
use pulse::amplitude;
use support::{Setup, TestAgent, wait_until};

const MANIFEST: &str = r#"{"version": "1", "capabilities": [
    {"name": "test.playback", "gateways": [
        {"id": "pipewire", "config": [{"playback": true}]}]},
    {"name": "test.capture", "gateways": [{"id": "pipewire", "config": [{"capture": true}]}]},
    {"name": "test.camera", "gateways": [{"id": "pipewire", "config": [{"camera": true}]}]},
    {"name": "test.pulse", "gateways": [{"id": "pulseaudio", "config": [{"audio": true}]}]}
]}"#;
/// What is well above what anything else than a tone has at its frequency.
const AUDIBLE: f64 = 400.0;

fn agent(pipewire: &PipeWire) -> TestAgent {
    let mut setup = Setup::manifest(MANIFEST);
    setup.config = format!(
        "pipewire-socket = {}\npulse-socket = {}",
        pipewire.socket().display(),
        pipewire.pulse_socket().display()
    );
    setup.supervised = true;
    TestAgent::with(&setup)
}

/// A container with capabilities, and the tone at `/tone.wav`.
fn container(agent: &TestAgent, pipewire: &PipeWire, user: u32, capabilities: &[&str]) -> i32 {
    let options = format!(r#"[{{"writeBufferEnabled": false, "userID": {user}}}]"#);
    let id = agent.client().create(&options).unwrap();
    let tone = pipewire.tone();
    let tone = tone.to_str().unwrap();
    agent
        .client()
        .bind_mount(id, tone, "/tone.wav", true)
        .unwrap();
    agent.client().set_capabilities(id, capabilities).unwrap();
    id
}

/// Records in the container for a second or two.
fn recorded(agent: &TestAgent, id: i32, properties: &str) -> Vec<i16> {
    let record = format!(
        "rm -f /tmp/heard.wav; PIPEWIRE_PROPS=\"{properties}\" timeout -s INT 2 pw-record \
         --rate 48000 --channels 1 --format s16 /tmp/heard.wav"
    );
    agent.shell(id, &record);
    samples(&agent.container_dir(id).join("rootfs/tmp/heard.wav"))
}

fn hears(samples: &[i16], frequency: f64) -> bool {
    amplitude(samples, frequency) > AUDIBLE
}

/// Names of the nodes that an app sees.
fn seen(agent: &TestAgent, id: i32) -> Vec<String> {
    let listed = agent.shell_ok(id, "timeout 10 pw-cli ls Node");
    let names = listed
        .lines()
        .filter_map(|line| line.split_once("node.name = "));
    let mut names: Vec<_> = names
        .map(|(_, name)| name.trim_matches('"').to_owned())
        .collect();
    names.sort();
    names
}

fn plays(agent: &TestAgent, id: i32) -> (u32, String) {
    agent.shell(id, "timeout 10 pw-play /tone.wav")
}

fn assert_heard(pipewire: &PipeWire, agent: &TestAgent, id: i32) {
    let silence = pipewire.record(|| {});
    assert!(!hears(&silence, TONE));
    let heard = pipewire.record(|| {
        let (status, output) = plays(agent, id);
        assert_eq!(status, 0, "{output}{}", pipewire.log());
    });
    assert!(hears(&heard, TONE), "{}", amplitude(&heard, TONE));
    assert!(!hears(&heard, 2.5 * TONE));
}

#[test]
fn tone_played_through_the_native_socket_reaches_the_hosts_speaker() {
    let Some(pipewire) = PipeWire::started() else {
        return;
    };
    let agent = agent(&pipewire);
    for user in [0, 1000] {
        let id = container(&agent, &pipewire, user, &["test.playback"]);
        let variables = agent.shell_ok(id, "echo $PIPEWIRE_RUNTIME_DIR/$PIPEWIRE_REMOTE");
        assert_eq!(variables, "/gateways/pipewire-0");
        assert_heard(&pipewire, &agent, id);
        agent.client().destroy(id).unwrap();
    }
}

#[test]
fn each_medium_is_allowed_on_its_own() {
    let Some(pipewire) = PipeWire::started() else {
        return;
    };
    let agent = agent(&pipewire);
    let playback = container(&agent, &pipewire, 0, &["test.playback"]);
    let capture = container(&agent, &pipewire, 0, &["test.capture"]);
    let camera = container(&agent, &pipewire, 0, &["test.camera"]);
    assert_eq!(seen(&agent, playback), ["speaker"]);
    assert_eq!(seen(&agent, capture), ["microphone"]);
    assert_eq!(seen(&agent, camera), ["camera"]);
    let microphone = "{ target.object = microphone }";
    // On a busy machine the source may run out of buffers.
    wait_until("the microphone is heard", || {
        hears(&recorded(&agent, capture, microphone), MICROPHONE)
    });
    for id in [playback, camera] {
        for properties in ["{}", microphone] {
            assert!(!hears(&recorded(&agent, id, properties), MICROPHONE));
        }
    }
    for id in [capture, camera] {
        let heard = pipewire.record(|| drop(plays(&agent, id)));
        assert!(!hears(&heard, TONE));
    }
    for id in [playback, capture, camera] {
        agent.client().destroy(id).unwrap();
    }
}

/// What others play is not what a microphone hears.
#[test]
fn nobody_records_what_others_play() {
    let Some(pipewire) = PipeWire::started() else {
        return;
    };
    let agent = agent(&pipewire);
    let victim = container(&agent, &pipewire, 0, &["test.playback"]);
    let looped = "while true; do pw-play /tone.wav; done";
    let command = format!("sh -c '{looped}'");
    let playing = agent
        .client()
        .execute(victim, &command, "", "", &[])
        .unwrap();
    assert!(hears(&pipewire.record(|| {}), TONE));
    for capabilities in [
        ["test.playback"].as_slice(),
        &["test.capture"],
        &["test.playback", "test.capture"],
    ] {
        let id = container(&agent, &pipewire, 0, capabilities);
        for properties in [
            "{ stream.capture.sink = true }",
            "{ stream.capture.sink = true target.object = speaker }",
            "{ target.object = speaker }",
            "{ target.object = pw-play }",
        ] {
            let heard = recorded(&agent, id, properties);
            assert!(!hears(&heard, TONE), "{capabilities:?} {properties}");
        }
        agent.client().destroy(id).unwrap();
    }
    assert!(hears(&pipewire.record(|| {}), TONE));
    assert!(support::is_alive(playing));
    agent.client().destroy(victim).unwrap();
}

#[test]
fn what_a_second_capability_allows_counts_for_who_connects_then() {
    let Some(pipewire) = PipeWire::started() else {
        return;
    };
    let agent = agent(&pipewire);
    let id = container(&agent, &pipewire, 0, &["test.playback"]);
    assert_eq!(seen(&agent, id), ["speaker"]);
    agent
        .client()
        .set_capabilities(id, &["test.capture", "test.camera"])
        .unwrap();
    wait_until("all are seen", || {
        seen(&agent, id) == ["camera", "microphone", "speaker"]
    });
    assert_heard(&pipewire, &agent, id);
    agent.client().destroy(id).unwrap();
}

#[test]
fn daemon_and_session_manager_are_restarted_in_any_order() {
    let Some(mut pipewire) = PipeWire::started() else {
        return;
    };
    let agent = agent(&pipewire);
    let id = container(&agent, &pipewire, 1000, &["test.playback"]);
    assert_heard(&pipewire, &agent, id);
    // The session manager alone.
    pipewire.stop_manager();
    let output = agent.path("waiting");
    let waiting = agent
        .client()
        .execute(id, "pw-play /tone.wav", "", output.to_str().unwrap(), &[])
        .unwrap();
    pipewire.start_manager();
    assert_eq!(agent.client().wait_ended(id, waiting).exit_code, 0);
    assert_heard(&pipewire, &agent, id);
    // Both, the daemon first; who connects meanwhile waits.
    pipewire.stop_daemon();
    let waiting = agent
        .client()
        .execute(id, "pw-play /tone.wav", "", output.to_str().unwrap(), &[])
        .unwrap();
    pipewire.stop_manager();
    pipewire.start_daemon();
    pipewire.start_manager();
    assert_eq!(agent.client().wait_ended(id, waiting).exit_code, 0);
    assert_heard(&pipewire, &agent, id);
    assert_eq!(seen(&agent, id), ["speaker"]);
    agent.client().destroy(id).unwrap();
}

/// With systemd's pipewire.socket it stays the same socket, whoever is behind it.
#[test]
fn daemon_whose_socket_a_service_manager_keeps_is_followed() {
    let Some(mut pipewire) = PipeWire::prepared() else {
        return;
    };
    pipewire.keep_socket();
    let kept = fs::metadata(pipewire.socket()).unwrap().ino();
    pipewire.start_daemon();
    pipewire.start_manager();
    let agent = agent(&pipewire);
    let id = container(&agent, &pipewire, 1000, &["test.playback"]);
    assert_heard(&pipewire, &agent, id);
    let output = agent.path("waiting");
    for _ in 0..2 {
        pipewire.stop_daemon();
        pipewire.stop_manager();
        let waiting = agent
            .client()
            .execute(id, "pw-play /tone.wav", "", output.to_str().unwrap(), &[])
            .unwrap();
        pipewire.start_daemon();
        pipewire.start_manager();
        assert_eq!(fs::metadata(pipewire.socket()).unwrap().ino(), kept);
        assert_eq!(agent.client().wait_ended(id, waiting).exit_code, 0);
        assert_heard(&pipewire, &agent, id);
        assert_eq!(seen(&agent, id), ["speaker"]);
    }
    agent.client().destroy(id).unwrap();
}

#[test]
fn apps_of_a_killed_agent_go_on_to_play_and_are_known_as_before() {
    let Some(mut pipewire) = PipeWire::started() else {
        return;
    };
    let mut agent = agent(&pipewire);
    let id = container(&agent, &pipewire, 1000, &["test.playback"]);
    let client = agent.client();
    let watching = client.execute(id, "pw-mon", "", "", &[]).unwrap();
    assert_heard(&pipewire, &agent, id);
    for _ in 0..2 {
        agent.kill();
        agent.start_agent();
        assert_heard(&pipewire, &agent, id);
        assert_eq!(seen(&agent, id), ["speaker"]);
        assert!(support::is_alive(watching), "its connection is open");
    }
    // More is allowed then.
    let client = agent.client();
    client.set_capabilities(id, &["test.capture"]).unwrap();
    wait_until("both are seen", || {
        seen(&agent, id) == ["microphone", "speaker"]
    });
    // Restarted while there was no agent.
    agent.kill();
    pipewire.stop_daemon();
    pipewire.stop_manager();
    pipewire.start_daemon();
    pipewire.start_manager();
    agent.start_agent();
    wait_until("the next one knows the container", || {
        seen(&agent, id) == ["microphone", "speaker"]
    });
    assert_heard(&pipewire, &agent, id);
    agent.client().destroy(id).unwrap();
    assert!(agent.supervisor().names().is_empty());
}

#[test]
fn without_the_session_managers_script_nobody_is_let_in() {
    let Some(mut pipewire) = PipeWire::prepared() else {
        return;
    };
    pipewire.without_script();
    pipewire.start_daemon();
    pipewire.start_manager();
    let agent = agent(&pipewire);
    let id = agent.create();
    let granted = agent.client().set_capabilities(id, &["test.playback"]);
    let (_, text) = granted.unwrap_err();
    assert!(text.contains("gateway pipewire"), "{text}");
    assert!(text.contains("softwarecontainer/access.lua"), "{text}");
    assert_eq!(agent.shell_ok(id, "ls /gateways"), "");
    agent.client().destroy(id).unwrap();
}

#[test]
fn pulseaudio_gateway_works_with_pipewires_own_server() {
    let Some(mut pipewire) = PipeWire::started() else {
        return;
    };
    pipewire.start_pulse();
    let agent = agent(&pipewire);
    let id = container(&agent, &pipewire, 1000, &["test.pulse"]);
    let heard = |pipewire: &PipeWire| {
        let heard = pipewire.record(|| {
            let (status, output) = agent.shell(id, "timeout 10 paplay /tone.wav");
            assert_eq!(status, 0, "{output}{}", pipewire.log());
        });
        assert!(hears(&heard, TONE), "{}", amplitude(&heard, TONE));
    };
    heard(&pipewire);
    pipewire.stop_pulse();
    pipewire.start_pulse();
    heard(&pipewire);
    for _ in 0..2 {
        pipewire.stop_pulse();
        pipewire.stop_daemon();
        pipewire.stop_manager();
        pipewire.start_daemon();
        pipewire.start_manager();
        pipewire.start_pulse();
        heard(&pipewire);
    }
    agent.client().destroy(id).unwrap();
}

/// What the host's session manager and its tools are told of the client of an app.
#[test]
fn pipewire_is_told_the_app_id_that_the_launcher_gives() {
    let Some(pipewire) = PipeWire::started() else {
        return;
    };
    let agent = agent(&pipewire);
    let client = agent.client();
    let config = r#"[{"writeBufferEnabled": false}]"#;
    let none = std::collections::HashMap::<&str, zbus::Variant<'_>>::new();
    let named = client.manage("CreateNamed", &(config, "org.example.Player", none));
    let (named, _): (i32, zbus::OwnedObjectPath) = named.unwrap().body().deserialize().unwrap();
    let plain = agent.create();
    for (id, app) in [
        (named, "org.example.Player".to_owned()),
        (plain, format!("SC-{plain}")),
    ] {
        client.set_capabilities(id, &["test.playback"]).unwrap();
        client.execute(id, "pw-mon", "", "", &[]).unwrap();
        for (key, value) in [
            ("engine", "com.pelagicore.SoftwareContainer"),
            ("app-id", app.as_str()),
            ("instance-id", &format!("SC-{id}")),
        ] {
            let line = format!("\"pipewire.sec.{key}\": \"{value}\"");
            wait_until(&line, || {
                let all = pipewire.host("pw-dump", &["Client"]).unwrap_or_default();
                all.contains(&line)
            });
        }
        client.destroy(id).unwrap();
    }
}
