//! The demonstration shows what it says.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::{path::Path, process::Command};

#[test]
fn reading_is_allowed_first_and_setting_once_its_capability_is_set() {
    let programs = Path::new(env!("CARGO_BIN_EXE_temperature-service"))
        .parent()
        .unwrap();
    for other in [
        "softwarecontainer-agent",
        "softwarecontainer-init",
        "softwarecontainer-dbus-proxy",
    ] {
        assert!(
            programs.join(other).exists(),
            "{other} is missing: run `cargo build --workspace` first"
        );
    }
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/demo.sh");
    let output = Command::new(script).arg(programs).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success(),
        "{text}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let steps = [
        "app: echo hello → hello",
        "app: get → 21.5",
        "app: set 25 → org.freedesktop.DBus.Error.AccessDenied",
        "app: set 25 → set to 25",
        "app: get → 25",
        "app: the signal TemperatureChanged has arrived",
    ];
    let mut rest = text.as_ref();
    for step in steps {
        let (_, after) = rest
            .split_once(step)
            .unwrap_or_else(|| panic!("no {step:?} in {text}"));
        rest = after;
    }
}
