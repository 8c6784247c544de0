//! Attacks on PipeWire, its session manager and its server for PulseAudio's clients, by an app that
//! may play sound.

use std::fs;

use super::without;
use crate::{
    pipewire_daemon::{MICROPHONE, PipeWire, TONE, samples},
    pulse::amplitude,
    support::{Setup, TestAgent, wait_until},
};

const MANIFEST: &str = r#"{"version": "1", "capabilities": [
    {"name": "test.playback", "gateways": [
        {"id": "pipewire", "config": [{"playback": true}]}]},
    {"name": "test.capture", "gateways": [{"id": "pipewire", "config": [{"capture": true}]}]},
    {"name": "test.pulse", "gateways": [{"id": "pulseaudio", "config": [{"audio": true}]}]}
]}"#;
const CLIENT: &str = include_str!("../media_client.py");
/// All that an app that plays sound sees.
const SEEN: &str = "Core:pipewire-0 Factory:client-node Node:speaker";
/// What is well above what anything else than a tone has at its frequency.
const AUDIBLE: f64 = 400.0;

struct Attacked {
    agent: TestAgent,
    attacker: i32,
    pipewire: PipeWire,
}

impl Attacked {
    /// An attacker that may play sound, and another app that plays.
    fn start() -> Option<Self> {
        Self::start_with(&[])
    }

    /// [`Self::start`], with lines of the session manager's script replaced.
    fn start_with(edits: &[(&str, &str)]) -> Option<Self> {
        let mut pipewire = PipeWire::prepared()?;
        for (protection, line, instead) in [
            (
                "pipewire-permissions",
                r#"["any"] = "-""#,
                r#"["any"] = "all""#,
            ),
            ("pipewire-permissions", r#"SEE = "r""#, r#"SEE = "rwx""#),
            (
                "pipewire-streams",
                "if stream_of (media_of (owner), class) == nil then",
                "if false then",
            ),
            (
                "pipewire-links",
                r#"if word == nil or not DEVICES [word] [target.properties ["media.class"]] then"#,
                "if false then",
            ),
        ] {
            if without(protection) {
                pipewire.edit_script(line, instead);
            }
        }
        for (line, instead) in edits {
            pipewire.edit_script(line, instead);
        }
        if without("pulse-modules") {
            pipewire.allow_modules();
        }
        pipewire.start_daemon();
        pipewire.start_manager();
        let mut setup = Setup::manifest(MANIFEST);
        setup.config = format!(
            "pipewire-socket = {}\npulse-socket = {}",
            pipewire.socket().display(),
            pipewire.pulse_socket().display()
        );
        let agent = TestAgent::with(&setup);
        fs::write(agent.path("media_client.py"), CLIENT).unwrap();
        let mut attacked = Self {
            agent,
            attacker: 0,
            pipewire,
        };
        attacked.attacker = attacked.container(&["test.playback"]);
        let victim = attacked.container(&["test.playback"]);
        let looped = "sh -c 'while true; do pw-play /tone.wav; done'";
        let client = attacked.agent.client();
        client.execute(victim, looped, "", "", &[]).unwrap();
        attacked.assert_victim_is_heard();
        Some(attacked)
    }

    /// A container with what attacks need.
    fn container(&self, capabilities: &[&str]) -> i32 {
        let id = self.agent.create();
        let client = self.agent.client();
        client.set_capabilities(id, capabilities).unwrap();
        for (host, inside) in [
            (self.agent.path("media_client.py"), "/client.py"),
            (self.pipewire.tone(), "/tone.wav"),
        ] {
            let host = host.to_str().unwrap();
            client.bind_mount(id, host, inside, true).unwrap();
        }
        id
    }

    fn attack(&self, words: &str) -> String {
        let command = format!("timeout 100 python3 /client.py {words}");
        self.agent.shell_ok(self.attacker, &command)
    }

    /// The same by a client of the host, which may do everything.
    fn by_host(&self, words: &str) -> String {
        let program = self.agent.path("media_client.py");
        let mut arguments = vec![program.to_str().unwrap()];
        arguments.extend(words.split(' '));
        let printed = self.pipewire.host("python3", &arguments);
        printed.unwrap().trim().to_owned()
    }

    /// What there is on the host of these kinds that the attacker is not shown, as
    /// `NUMBER:KIND`.
    fn hidden(&self, kinds: &[&str]) -> Vec<String> {
        let seen = self.attack("list");
        let all = self.by_host("list");
        let all = all.split(' ').filter(|it| {
            let kind = it.split_once(':').unwrap().1;
            kinds.contains(&kind) && !seen.split(' ').any(|seen| seen == *it)
        });
        all.map(str::to_owned).collect()
    }

    /// An attempt on each of these fails.
    fn assert_refused(&self, attack: &str, targets: &[String]) {
        assert!(!targets.is_empty(), "{attack}");
        let said = self.attack(&format!("{attack} {}", targets.join(" ")));
        let refused = vec!["refused"; targets.len()].join(" ");
        assert_eq!(said, refused, "{attack} {targets:?}");
    }

    /// Records in a container for a second or two.
    fn recorded(&self, id: i32, properties: &str) -> Vec<i16> {
        let record = format!(
            "rm -f /tmp/heard.wav; PIPEWIRE_PROPS=\"{properties}\" timeout -s INT 2 pw-record \
             --rate 48000 --channels 1 --format s16 /tmp/heard.wav"
        );
        self.agent.shell(id, &record);
        let file = self.agent.container_dir(id).join("rootfs/tmp/heard.wav");
        samples(&file)
    }

    fn assert_victim_is_heard(&self) {
        let heard = self.pipewire.record(|| {});
        let found = amplitude(&heard, TONE);
        assert!(found > AUDIBLE, "{found}");
    }
}

const ALL: [&str; 8] = [
    "Client",
    "Factory",
    "Link",
    "Metadata",
    "Module",
    "Node",
    "Port",
    "SecurityContext",
];

#[test]
fn app_that_plays_sound_sees_the_speaker_and_nothing_of_others() {
    let Some(attacked) = Attacked::start() else {
        return;
    };
    assert_eq!(attacked.attack("see"), SEEN);
    attacked.assert_victim_is_heard();
}

#[test]
fn app_reaches_nothing_of_others_by_its_number() {
    let Some(attacked) = Attacked::start() else {
        return;
    };
    for kind in ALL {
        let hidden = attacked.hidden(&[kind]);
        let said = attacked.by_host(&format!("bind {}", hidden.join(" ")));
        // The victim's streams come and go.
        assert!(said.contains("done"), "{kind}: {hidden:?} {said}");
        attacked.assert_refused("bind", &hidden);
    }
    attacked.assert_victim_is_heard();
}

#[test]
fn app_ends_nothing_of_others() {
    let Some(attacked) = Attacked::start() else {
        return;
    };
    let hidden = attacked.hidden(&ALL);
    attacked.assert_refused("destroy", &hidden);
    // Nor what it sees.
    let seen: Vec<_> = attacked
        .attack("list")
        .split(' ')
        .map(str::to_owned)
        .collect();
    attacked.assert_refused("destroy", &seen);
    attacked.assert_victim_is_heard();
    assert_eq!(attacked.attack("see"), SEEN);
    // The message is well-formed.
    let microphone = attacked.pipewire.node("microphone").unwrap();
    let said = attacked.by_host(&format!("destroy {microphone}:Node"));
    assert_eq!(said, "done");
    assert_eq!(attacked.pipewire.node("microphone"), None);
}

#[test]
fn app_mutes_neither_the_speaker_nor_others() {
    let Some(attacked) = Attacked::start() else {
        return;
    };
    let target = |name| format!("{}:Node", attacked.pipewire.node(name).unwrap());
    let targets = ["speaker", "microphone", "pw-play"].map(target);
    attacked.assert_refused("mute", &targets);
    attacked.assert_refused("mute", &attacked.hidden(&["Node"]));
    attacked.assert_victim_is_heard();
    // Who may, does.
    let said = attacked.by_host(&format!("mute {}", targets[0]));
    assert_eq!(said, "done");
}

/// PipeWire lets a client take permissions from itself only, but from and for any client that it
/// sees with the right to write.
#[test]
fn app_gives_neither_itself_nor_an_accomplice_permissions() {
    let Some(attacked) = Attacked::start() else {
        return;
    };
    assert_eq!(attacked.attack("permissions"), format!("done {SEEN}"));
    assert_eq!(attacked.attack("accomplice"), format!("refused {SEEN}"));
    attacked.assert_victim_is_heard();
}

/// Were clients of apps open to each other, the same messages would give them everything.
#[test]
fn permissions_that_an_app_tries_to_give_are_well_formed() {
    let line = r#"local permissions = { ["any"] = "-", [0] = USE }"#;
    let instead = r#"local permissions = { ["any"] = "-", [0] = USE }
        for other in apps:iterate () do permissions [other ["bound-id"]] = "all" end"#;
    let Some(attacked) = Attacked::start_with(&[(line, instead)]) else {
        return;
    };
    let said = attacked.attack("accomplice");
    for more in ["done", "Node:microphone", "Node:camera", "Metadata:default"] {
        assert!(said.contains(more), "{more}: {said}");
    }
}

#[test]
fn app_is_no_other_than_it_is() {
    let Some(attacked) = Attacked::start() else {
        return;
    };
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
fn app_records_neither_others_nor_microphones_that_it_may_not() {
    let Some(attacked) = Attacked::start() else {
        return;
    };
    let recorder = attacked.container(&["test.playback", "test.capture"]);
    let wanted = [
        "{ stream.capture.sink = true }",
        "{ stream.capture.sink = true target.object = speaker }",
        "{ target.object = pw-play }",
    ];
    for properties in wanted {
        for id in [attacked.attacker, recorder] {
            let heard = attacked.recorded(id, properties);
            assert!(amplitude(&heard, TONE) < AUDIBLE, "{id}: {properties}");
        }
    }
    for properties in ["{}", "{ target.object = microphone }"] {
        let heard = attacked.recorded(attacked.attacker, properties);
        assert!(amplitude(&heard, MICROPHONE) < AUDIBLE, "{properties}");
    }
    // A recorder records.
    let heard = attacked.recorded(recorder, "{ target.object = microphone }");
    assert!(amplitude(&heard, MICROPHONE) > AUDIBLE);
    attacked.assert_victim_is_heard();
}

#[test]
fn app_loads_no_modules_into_the_server_for_pulseaudios_clients() {
    let Some(mut attacked) = Attacked::start() else {
        return;
    };
    attacked.pipewire.start_pulse();
    let id = attacked.container(&["test.pulse"]);
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
