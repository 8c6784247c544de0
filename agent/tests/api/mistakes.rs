//! Mistakes of first-time users: each message names the place, the key, and what to do.

use std::{fs, os::unix::fs::PermissionsExt as _, sync::Arc};

use rustix::thread::{CapabilitySet, remove_capability_from_bounding_set};
use serde_json::{Value, json};

use crate::{
    capabilities::manifest,
    fails_with,
    support::{Before, Setup, TestAgent},
};

/// What an agent that does not start with `setup` says.
fn refusal(setup: &Setup, prepare: impl FnOnce(&TestAgent)) -> String {
    let agent = TestAgent::prepared(setup);
    prepare(&agent);
    let output = agent.command().output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    String::from_utf8(output.stderr).unwrap()
}

#[test]
fn mistakes_that_stop_the_start() {
    let manifests = |text: &str| Setup::manifest(text);
    let config = |text: &str| Setup {
        config: text.to_owned(),
        ..Setup::default()
    };
    let nothing = |_: &TestAgent| {};
    for (setup, parts) in [
        (
            manifests("{\"version\": \"1\"\n \"capabilities\": []}"),
            &["manifests/test.json:2:2: ", "expected `,` or `}`"][..],
        ),
        (
            manifests(
                "{\"version\": \"1\", \"capabilities\": [{\"name\": \"a\",\n\"gateway\": []}]}",
            ),
            &[
                "manifests/test.json:2:12: ",
                "capabilities[0].gateway",
                "did you mean \"gateways\"?",
            ],
        ),
        (
            manifests("{\"version\": \"1\", \"capabilities\": [{\"name\": 7}]}"),
            &[
                "manifests/test.json:1:44: ",
                "capabilities[0].name",
                "must be a non-empty string, but is 7",
            ],
        ),
        (
            config("bridge-netmask = 255.255.0.0"),
            &[
                "config:",
                "[SoftwareContainer] bridge-netmask",
                "255.255.0.0",
            ],
        ),
        (
            config("shutdown-timout = 3"),
            &[
                "config:",
                "shutdown-timout: unknown key; did you mean \"shutdown-timeout\"?",
            ],
        ),
        (
            config("deprecated-lxc-config-path = /usr"),
            &["/usr: cannot be read: ", "is a directory"],
        ),
        (
            config("administrators = nobody-of-that-name"),
            &[
                "config:",
                "administrators: \"nobody-of-that-name\" is no user of this system",
            ],
        ),
    ] {
        let text = refusal(&setup, nothing);
        for part in parts {
            assert!(text.contains(part), "{part:?} is missing from {text:?}");
        }
    }
}

#[test]
fn a_manifest_that_the_agent_may_not_read_is_named() {
    let agent = TestAgent::prepared(&Setup {
        before: Some(without_override()),
        ..Setup::manifest(r#"{"version": "1", "capabilities": []}"#)
    });
    let path = agent.path("manifests/test.json");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o000)).unwrap();
    let output = agent.command().output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8(output.stderr).unwrap();
    let place = format!("{}: ", path.display());
    assert!(text.contains(&place), "{text}");
    assert!(text.contains("Permission denied"), "{text}");
}

/// Takes root's right to read everything from the agent, as a hardened unit may.
fn without_override() -> Before {
    Arc::new(|| {
        for capability in [CapabilitySet::DAC_OVERRIDE, CapabilitySet::DAC_READ_SEARCH] {
            remove_capability_from_bounding_set(capability)?;
        }
        Ok(())
    })
}

#[test]
fn a_capability_in_two_manifests_that_contradict_each_other_names_both() {
    let of = |value: &str| {
        manifest(&[(
            "com.screen",
            json!([{"id": "env", "config": [{"name": "SIZE", "value": value}]}]),
        )])
    };
    let agent = TestAgent::with(&Setup {
        manifests: vec![
            ("a.json".to_owned(), of("7 inch")),
            ("b.json".to_owned(), of("12 inch")),
        ],
        ..Setup::default()
    });
    let id = agent.create();
    let place = |name: &str| agent.path("manifests").join(name).display().to_string();
    fails_with(
        agent.client().set_capabilities(id, &["com.screen"]),
        &[
            &place("b.json"),
            "config[0].value",
            "\"12 inch\" contradicts",
            "\"7 inch\" that SIZE already has",
        ],
    );
}

#[test]
fn a_program_that_only_the_host_has_is_told_from_one_that_nobody_has() {
    let agent = TestAgent::start();
    let id = agent.create();
    let program = agent.path("app");
    fs::write(&program, "#!/bin/sh\n").unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    let program = program.to_str().unwrap();
    let file = agent.path("output");
    let run = |command: &str| {
        let client = agent.client();
        let pid = client
            .execute(id, command, "", file.to_str().unwrap(), &[])
            .unwrap();
        client.wait_ended(id, pid);
        fs::read_to_string(&file).unwrap()
    };
    let output = run(program);
    assert!(
        output.contains(&format!("{program}: No such file")),
        "{output}"
    );
    assert!(
        output.contains("this container does not see it"),
        "{output}"
    );
    let output = run("/none/app");
    assert!(output.contains("/none/app: No such file"), "{output}");
    assert!(!output.contains("does not see it"), "{output}");
}

#[test]
fn mistakes_that_fail_their_capability_and_are_warned_of_at_start() {
    let of = |gateway: &str, element: Value| json!([{"id": gateway, "config": [element]}]);
    let file = |host: &str| {
        of(
            "file",
            json!({"path-host": host, "path-container": "/mnt/x", "read-only": true}),
        )
    };
    let ports = |ports: Value| {
        of(
            "network",
            json!({"direction": "OUTGOING", "allow": [{"host": "*", "ports": ports}]}),
        )
    };
    let set = |name: &str, value: &str| of("cgroups", json!({"setting": name, "value": value}));
    let twice = json!([{"id": "env", "config": [
        {"name": "A", "value": "1"}, {"name": "A", "value": "2"}]}]);
    let mistakes: Vec<(&str, Value, &[&str])> = vec![
        (
            "number",
            of("wayland", json!({"enabled": 1})),
            &["config[0].enabled", "must be true or false, but is 1"],
        ),
        (
            "gateway",
            of("networks", json!({})),
            &["no such gateway", "did you mean \"network\"?"],
        ),
        (
            "port",
            ports(json!(70000)),
            &["allow[0].ports", "70000 is not a port from 0 to 65535"],
        ),
        (
            "relative",
            file("music"),
            &["path-host", "is not an absolute path"],
        ),
        (
            "home",
            file("~/music"),
            &["path-host", "\"~\"", "whole path"],
        ),
        (
            "variable",
            file("$HOME/music"),
            &["path-host", "a variable", "whole path"],
        ),
        (
            "wildcard",
            of("devicenode", json!({"name": "/dev/dri/*"})),
            &["config[0].name", "wildcards"],
        ),
        (
            "env",
            twice,
            &[
                "config[1].value",
                "\"2\" contradicts",
                "\"1\" that A already has",
            ],
        ),
        (
            "size",
            set("memory.limit_in_bytes", "64MB"),
            &["config[0].value", "is not a number of bytes"],
        ),
        (
            "count",
            set("pids.max", "few"),
            &["config[0].value", "is not a whole number"],
        ),
    ];
    let capabilities: Vec<(&str, Value)> = mistakes
        .iter()
        .map(|(name, gateways, _)| (*name, gateways.clone()))
        .collect();
    let agent = TestAgent::with(&Setup::manifest(&manifest(&capabilities)));
    let log = agent.log();
    let id = agent.create();
    let place = format!("{}:1:", agent.path("manifests/test.json").display());
    for (name, _, parts) in mistakes {
        fails_with(agent.client().set_capabilities(id, &[name]), parts);
        let start = format!("capability {name}: ");
        let warning = log
            .lines()
            .find(|line| line.contains(&start))
            .unwrap_or_default();
        for part in parts.iter().chain([&place.as_str()]) {
            assert!(
                warning.contains(part),
                "{part:?} is missing from {warning:?}: {log}"
            );
        }
    }
}

#[test]
fn mistakes_that_show_when_a_capability_is_set() {
    let text = manifest(&[
        (
            "com.device",
            json!([{"id": "devicenode", "config": [{"name": "/dev/no-such-device"}]}]),
        ),
        (
            "com.window",
            json!([{"id": "wayland", "config": [{"enabled": true}]}]),
        ),
        ("com.radio", json!([])),
    ]);
    let agent = TestAgent::with(&Setup {
        manifests: vec![("m.json".to_owned(), text)],
        default_manifests: vec![(
            "d.json".to_owned(),
            manifest(&[(
                "com.base",
                json!([
            {"id": "env", "config": [{"name": "BASE", "value": "1"}]}]),
            )]),
        )],
        environment: vec![
            ("WAYLAND_DISPLAY".into(), "wayland-none".into()),
            ("XDG_RUNTIME_DIR".into(), "/run/none".into()),
        ],
        ..Setup::default()
    });
    let id = agent.create();
    let client = agent.client();
    let place = agent.path("manifests/m.json");
    let place = place.to_str().unwrap();
    for (name, parts) in [
        (
            "com.device",
            &[
                "container 0, capability com.device in ",
                place,
                "gateway devicenode",
                "/dev/no-such-device",
                "No such file",
            ][..],
        ),
        (
            "com.window",
            &[
                "capability com.window in ",
                place,
                "gateway wayland",
                "/run/none/wayland-none",
                "No such file",
            ],
        ),
        ("com.raido", &["did you mean \"com.radio\"?"]),
        ("com.base", &["com.base", "it is a default capability"]),
    ] {
        fails_with(client.set_capabilities(id, &[name]), parts);
    }
    fs::create_dir(agent.path("directory")).unwrap();
    let directory = agent.path("directory");
    let directory = directory.to_str().unwrap();
    fails_with(
        client.execute(id, "true", "", directory, &[]),
        &[directory, "output file"],
    );
}
