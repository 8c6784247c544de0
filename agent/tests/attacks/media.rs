//! Attacks on the host's sound, cameras and screen by apps that may use some of it.

use std::{fs, path::Path};

use crate::{
    pipewire_daemon::{PipeWire, TONE},
    pulse::amplitude,
    support::{Setup, TestAgent, wait_until},
};

const MANIFEST: &str = r#"{"version": "1", "capabilities": [
    {"name": "test.playback", "gateways": [
        {"id": "pipewire", "config": [{"playback": true}]}]},
    {"name": "test.pulse", "gateways": [{"id": "pulseaudio", "config": [{"audio": true}]}]}
]}"#;
const CLIENT: &str = include_str!("media_client.py");
/// All that an app that plays sound sees.
const SEEN: &str = "Core:pipewire-0 Factory:client-node Node:speaker";

struct Attacked {
    agent: TestAgent,
    attacker: i32,
    pipewire: PipeWire,
}

impl Attacked {
    /// An attacker that may play sound, and another app that plays.
    fn start() -> Option<Self> {
        let pipewire = PipeWire::started()?;
        let mut setup = Setup::manifest(MANIFEST);
        setup.config = format!(
            "pipewire-socket = {}\npulse-socket = {}",
            pipewire.socket().display(),
            pipewire.pulse_socket().display()
        );
        let agent = TestAgent::with(&setup);
        let [attacker, victim] = [agent.create(), agent.create()];
        for id in [attacker, victim] {
            agent
                .client()
                .set_capabilities(id, &["test.playback"])
                .unwrap();
        }
        let (client, tone) = (agent.path("media_client.py"), pipewire.tone());
        fs::write(&client, CLIENT).unwrap();
        for (id, host, inside) in [
            (attacker, client.as_path(), "/client.py"),
            (attacker, &tone, "/tone.wav"),
            (victim, &tone, "/tone.wav"),
        ] {
            let host = host.to_str().unwrap();
            agent.client().bind_mount(id, host, inside, true).unwrap();
        }
        let looped = "sh -c 'while true; do pw-play /tone.wav; done'";
        agent.client().execute(victim, looped, "", "", &[]).unwrap();
        let attacked = Self {
            agent,
            attacker,
            pipewire,
        };
        attacked.assert_victim_is_heard();
        Some(attacked)
    }

    fn attack(&self, words: &str) -> String {
        let command = format!("timeout 100 python3 /client.py {words}");
        self.agent.shell_ok(self.attacker, &command)
    }

    fn assert_victim_is_heard(&self) {
        let heard = self.pipewire.record(|| {});
        let found = amplitude(&heard, TONE);
        assert!(found > 400.0, "{found}");
    }
}

#[test]
fn app_that_plays_sound_sees_the_speaker_and_nothing_of_others() {
    let Some(attacked) = Attacked::start() else {
        return;
    };
    assert_eq!(attacked.attack("see"), SEEN);
    assert_eq!(attacked.attack("bind"), "bound []");
    attacked.assert_victim_is_heard();
}

#[test]
fn app_gives_itself_no_permissions_and_is_no_other_than_it_is() {
    let Some(attacked) = Attacked::start() else {
        return;
    };
    let said = attacked.attack("permissions");
    assert!(said.ends_with(SEEN), "{said}");
    assert_eq!(attacked.attack("properties"), SEEN);
    attacked.assert_victim_is_heard();
}

#[test]
fn app_makes_no_links_no_metadata_and_no_devices() {
    let Some(attacked) = Attacked::start() else {
        return;
    };
    let said = attacked.attack("create");
    let tried: Vec<_> = said.split(' ').collect();
    assert_eq!(tried.len(), 7, "{said}");
    assert!(tried.iter().all(|it| it.ends_with(":refused")), "{said}");
    attacked.assert_victim_is_heard();
}

/// Where it became the default, others would play into it, or record from it.
#[test]
fn device_of_an_apps_own_is_removed_before_others_use_it() {
    let Some(attacked) = Attacked::start() else {
        return;
    };
    for (class, program) in [
        ("Audio/Sink", "pw-record /tmp/heard.wav"),
        ("Audio/Duplex", "pw-record /tmp/heard.wav"),
        ("Stream/Input/Audio", "pw-record /tmp/heard.wav"),
        ("Audio/Source", "pw-play /tone.wav"),
        ("Video/Source", "pw-play /tone.wav"),
    ] {
        let properties = format!("{{ media.class={class} node.name=trap priority.session=99999 }}");
        let command = format!("sh -c 'PIPEWIRE_PROPS=\"{properties}\" {program}'");
        let output = attacked.agent.path("attack");
        let output = output.to_str().unwrap();
        attacked
            .agent
            .client()
            .execute(attacked.attacker, &command, "", output, &[])
            .unwrap();
        let removed = format!("removing {class} of SC-");
        wait_until(&removed, || attacked.pipewire.log().contains(&removed));
        let nodes = attacked.pipewire.host("pw-cli", &["ls", "Node"]).unwrap();
        assert!(!nodes.contains("\"trap\""), "{nodes}");
        attacked.assert_victim_is_heard();
    }
}

#[test]
fn sockets_of_other_containers_and_of_the_host_are_out_of_reach() {
    let Some(attacked) = Attacked::start() else {
        return;
    };
    let host = attacked.pipewire.socket();
    let other = attacked.agent.container_dir(attacked.attacker + 1);
    for path in [
        host.clone(),
        Path::new("/proc/1/root").join(host.strip_prefix("/").unwrap()),
        other.join("gateways/pipewire-0"),
        other.join("rootfs/gateways/pipewire-0"),
    ] {
        let (status, output) = attacked.agent.shell(
            attacked.attacker,
            &format!(
                "PIPEWIRE_REMOTE={} timeout 10 pw-cli info 0",
                path.display()
            ),
        );
        assert!(status != 0, "{}: {output}", path.display());
    }
    // The only one that it has.
    assert_eq!(
        attacked
            .agent
            .shell_ok(attacked.attacker, "ls -A /gateways"),
        "pipewire-0"
    );
}

#[test]
fn app_loads_no_modules_into_the_server_for_pulseaudios_clients() {
    let Some(mut attacked) = Attacked::start() else {
        return;
    };
    attacked.pipewire.start_pulse();
    let id = attacked.agent.create();
    attacked
        .agent
        .client()
        .set_capabilities(id, &["test.pulse"])
        .unwrap();
    attacked.agent.shell_ok(id, "timeout 10 pactl info");
    for module in [
        "module-null-sink",
        "module-pipe-sink file=/tmp/heard",
        "module-native-protocol-tcp auth-anonymous=1",
    ] {
        let (status, output) = attacked
            .agent
            .shell(id, &format!("timeout 10 pactl load-module {module}"));
        assert!(status != 0 && output.contains("Access denied"), "{output}");
    }
    attacked.assert_victim_is_heard();
}
