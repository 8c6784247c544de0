//! Attacks on a compositor by an app that may draw.

use std::fs;

use super::without;
use crate::{
    compositor::{BIND, Compositor},
    support::{Setup, TestAgent},
};

const MANIFEST: &str = r#"{"version": "1", "capabilities": [
    {"name": "test.screen", "gateways": [{"id": "wayland", "config": [{"enabled": true}]}]}
]}"#;

struct Attacked {
    agent: TestAgent,
    attacker: i32,
    compositor: Compositor,
}

impl Attacked {
    /// A compositor that knows security contexts, and an attacker that may draw.
    fn start() -> Option<Self> {
        let compositor = Compositor::labwc()?;
        let mut setup = Setup::manifest(MANIFEST);
        let mode = if without("security-contexts") {
            "off"
        } else {
            "required"
        };
        setup.config = format!(
            "wayland-socket = {}\nwayland-security-context = {mode}",
            compositor.socket().display()
        );
        let agent = TestAgent::with(&setup);
        let attacker = agent.create();
        agent
            .client()
            .set_capabilities(attacker, &["test.screen"])
            .unwrap();
        Some(Self {
            agent,
            attacker,
            compositor,
        })
    }

    /// An attempt with what the compositor has for a client of the host, which succeeds with it.
    fn assert_not_bound(&self, interface: &str) {
        let offered = self.compositor.globals();
        let number = offered[interface].to_string();
        let host = self
            .compositor
            .client("python3")
            .args(["-c", BIND, &number, interface])
            .output()
            .unwrap();
        let by_host = String::from_utf8_lossy(&host.stderr);
        assert_eq!(by_host.trim(), "bound", "{interface}");
        let attack = format!("python3 -c \"{BIND}\" {number} {interface}");
        let (_, said) = self.agent.shell(self.attacker, &attack);
        assert!(said.contains("refused: "), "{interface}: {said}");
    }

    /// A program that does it on the host, and says in a container what it lacks.
    fn assert_fails(&self, command: &str, lacks: &str) {
        let host = self
            .compositor
            .client("sh")
            .args(["-c", command])
            .output()
            .unwrap();
        assert!(host.status.success(), "{command}: {host:?}");
        let (status, said) = self
            .agent
            .shell(self.attacker, &format!("timeout 20 {command}"));
        assert!(
            status != 0 && said.contains(lacks),
            "{command}: {status} {said}"
        );
    }

    /// What is refused does not keep it from what it may do.
    fn assert_may_draw(&self) {
        let offered = self.agent.shell_ok(self.attacker, "wayland-info");
        assert!(offered.contains("xdg_wm_base"), "{offered}");
    }
}

#[test]
fn app_takes_no_picture_of_the_screen() {
    let Some(attacked) = Attacked::start() else {
        return;
    };
    attacked.assert_fails("grim /tmp/sc-test-screen.png", "screencopy");
    let _ = fs::remove_file("/tmp/sc-test-screen.png");
    for interface in [
        "zwlr_screencopy_manager_v1",
        "zwlr_export_dmabuf_manager_v1",
    ] {
        attacked.assert_not_bound(interface);
    }
    attacked.assert_may_draw();
}

#[test]
fn app_neither_types_nor_points_in_the_users_name() {
    let Some(attacked) = Attacked::start() else {
        return;
    };
    attacked.assert_fails("wtype x", "virtual keyboard");
    for interface in [
        "zwp_virtual_keyboard_manager_v1",
        "zwlr_virtual_pointer_manager_v1",
        "zwp_input_method_manager_v2",
    ] {
        attacked.assert_not_bound(interface);
    }
    attacked.assert_may_draw();
}

#[test]
fn app_reads_no_clipboard_without_the_users_doing() {
    let Some(attacked) = Attacked::start() else {
        return;
    };
    attacked.assert_not_bound("zwlr_data_control_manager_v1");
    attacked.assert_may_draw();
}

#[test]
fn app_neither_covers_nor_locks_the_screen_nor_manages_others_windows() {
    let Some(attacked) = Attacked::start() else {
        return;
    };
    for interface in [
        "zwlr_layer_shell_v1",
        "ext_session_lock_manager_v1",
        "zwlr_foreign_toplevel_manager_v1",
        "zwlr_output_manager_v1",
        "zwlr_output_power_manager_v1",
        "zwlr_gamma_control_manager_v1",
    ] {
        attacked.assert_not_bound(interface);
    }
    attacked.assert_may_draw();
}

/// Its clients would be whoever it says.
#[test]
fn app_makes_no_security_context_of_its_own() {
    let Some(attacked) = Attacked::start() else {
        return;
    };
    attacked.assert_not_bound("wp_security_context_manager_v1");
    attacked.assert_may_draw();
}
