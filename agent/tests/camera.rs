//! Cameras as PipeWire gives them to apps: a real node with a pattern, and who gets its frames.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod newer_debian;
mod pipewire_daemon;
mod support;
mod unable;

use std::{fs, process::Command};

use pipewire_daemon::PipeWire;
use support::{Setup, TestAgent};

const MANIFEST: &str = r#"{"version": "1", "capabilities": [
    {"name": "test.sound", "gateways": [
        {"id": "pipewire", "config": [{"playback": true, "capture": true}]}]},
    {"name": "test.camera", "gateways": [{"id": "pipewire", "config": [{"camera": true}]}]}
]}"#;

fn agent(pipewire: &PipeWire) -> TestAgent {
    let mut setup = Setup::manifest(MANIFEST);
    setup.config = format!("pipewire-socket = {}", pipewire.socket().display());
    TestAgent::with(&setup)
}

/// A container with a capability.
fn container(agent: &TestAgent, user: u32, capability: &str) -> i32 {
    let options = format!(r#"[{{"writeBufferEnabled": false, "userID": {user}}}]"#);
    let id = agent.client().create(&options).unwrap();
    agent.client().set_capabilities(id, &[capability]).unwrap();
    id
}

fn sees_camera(agent: &TestAgent, id: i32) -> bool {
    let listed = agent.shell_ok(id, "timeout 10 pw-cli ls Node");
    listed.contains("node.name = \"camera\"")
}

/// The camera's pattern: bars of these colours above, and snow, of which no two frames have the
/// same.
const BARS: [[u8; 3]; 7] = [
    [191, 191, 191],
    [191, 191, 0],
    [0, 191, 191],
    [0, 191, 0],
    [191, 0, 191],
    [191, 0, 0],
    [0, 0, 191],
];
const FRAMES: usize = 5;
const WIDTH: usize = 320;
const HEIGHT: usize = 240;

/// Frames that GStreamer gets in a container, three bytes a pixel.
fn frames(agent: &TestAgent, id: i32, seconds: u32, source: &str) -> (Vec<u8>, String) {
    let pipeline = format!(
        "pipewiresrc {source} num-buffers={FRAMES} ! video/x-raw ! videoconvert ! \
         video/x-raw,format=RGB ! filesink location=/tmp/frames"
    );
    let script = format!("rm -f /tmp/frames; timeout {seconds} gst-launch-1.0 {pipeline}");
    let (_, output) = agent.shell(id, &script);
    let file = agent.container_dir(id).join("rootfs/tmp/frames");
    (fs::read(file).unwrap_or_default(), output)
}

#[test]
fn camera_shows_its_frames_to_who_may_see_it_and_to_nobody_else() {
    let plugin = Command::new("gst-inspect-1.0").arg("pipewiresrc").output();
    if !plugin.is_ok_and(|plugin| plugin.status.success()) {
        return unable::note("it has no GStreamer with an element for PipeWire");
    }
    let Some(mut pipewire) = PipeWire::started() else {
        return;
    };
    let agent = agent(&pipewire);
    let others = container(&agent, 0, "test.sound");
    let number = pipewire.node("camera").unwrap();
    for source in ["", "target-object=camera", &format!("path={number}")] {
        let (frames, output) = frames(&agent, others, 5, source);
        assert!(frames.is_empty(), "{source}: {output}");
    }
    assert!(!sees_camera(&agent, others));
    for user in [0, 1000] {
        let id = container(&agent, user, "test.camera");
        assert!(sees_camera(&agent, id));
        for _ in 0..2 {
            let (bytes, output) = frames(&agent, id, 60, "target-object=camera");
            let frames: Vec<_> = bytes.chunks(WIDTH * HEIGHT * 3).collect();
            assert_eq!(frames.len(), FRAMES, "{output}{}", pipewire.log());
            for frame in &frames {
                for (n, colour) in BARS.iter().enumerate() {
                    let at = (20 * WIDTH + n * WIDTH / 7 + WIDTH / 14) * 3;
                    assert_eq!(frame.get(at..at + 3).unwrap(), colour, "bar {n}");
                }
            }
            assert_ne!(frames.first(), frames.last(), "a picture that stands still");
            pipewire.stop_daemon();
            pipewire.stop_manager();
            pipewire.start_daemon();
            pipewire.start_manager();
        }
        agent.client().destroy(id).unwrap();
    }
    agent.client().destroy(others).unwrap();
}

#[test]
fn apps_ask_devices_for_their_formats_where_the_session_manager_is_told_to_let_them() {
    for allowed in [false, true] {
        let Some(mut pipewire) = PipeWire::prepared() else {
            return;
        };
        if allowed {
            let setting = "wireplumber.settings = { softwarecontainer.device-formats = true }";
            pipewire.configure_manager(setting);
        }
        pipewire.start_daemon();
        pipewire.start_manager();
        let agent = agent(&pipewire);
        let id = container(&agent, 0, "test.camera");
        let number = pipewire.node("camera").unwrap();
        let (_, dumped) = agent.shell(id, &format!("timeout 10 pw-dump {number}"));
        assert!(dumped.contains("\"camera\""), "{dumped}");
        assert_eq!(dumped.contains("patternType"), allowed, "{dumped}");
        agent.client().destroy(id).unwrap();
    }
}
