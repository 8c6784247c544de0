//! Mistakes of first-time users: each message names the place, the key, and what to do; what is
//! wrong with a manifest, the validator says in the same words.

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path, process::Command, sync::Arc};

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

/// What the validator says of the agent's manifests, which have mistakes.
fn validated(agent: &TestAgent) -> String {
    let program = Path::new(env!("CARGO_BIN_EXE_softwarecontainer-agent"));
    let output = Command::new(program.with_file_name("softwarecontainer-validate"))
        .args([
            "--default-manifest-dir".into(),
            agent.path("default-manifests"),
        ])
        .arg(agent.path("manifests"))
        .output()
        .unwrap();
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{text}");
    text
}

#[test]
fn mistakes_that_stop_the_start() {
    let manifests = |text: &str| Setup::manifest(text);
    let config = |text: &str| Setup {
        config: text.to_owned(),
        ..Setup::default()
    };
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
            manifests("{\"version\": \"1\", // of the radio\n \"capabilities\": []}"),
            &["manifests/test.json:1:18: ", "JSON has no comments"],
        ),
        (
            config("deprecated-lxc-config-path = /usr"),
            &[
                "config:",
                "[SoftwareContainer] deprecated-lxc-config-path: /usr: cannot be read: ",
                "is a directory",
            ],
        ),
        (
            config("seccomp-profile = /etc/no-such-profile"),
            &[
                "config:",
                "[SoftwareContainer] seccomp-profile: /etc/no-such-profile: cannot be read: No such",
            ],
        ),
        (
            config("shared-mounts-dir = /proc/no-such-directory"),
            &[
                "config:",
                "[SoftwareContainer] shared-mounts-dir /proc/no-such-directory: cannot make it",
            ],
        ),
        (
            config("shutdown-timeout = 3 # seconds"),
            &["config:", "a comment needs a line of its own"],
        ),
        (
            config("; seconds"),
            &["config:", "a comment is a line that begins with #"],
        ),
        (
            config("administrators = nobody-of-that-name"),
            &[
                "config:",
                "administrators: \"nobody-of-that-name\" is no user of this system",
            ],
        ),
    ] {
        let is_manifest = !setup.manifests.is_empty();
        let mut said = Vec::new();
        let refused = refusal(&setup, |agent| {
            if is_manifest {
                said.push(validated(agent));
            }
        });
        said.push(refused);
        for (text, part) in said
            .iter()
            .flat_map(|text| parts.iter().map(move |it| (text, it)))
        {
            assert!(text.contains(part), "{part:?} is missing from {text:?}");
        }
    }
}

#[test]
fn a_directory_of_manifests_that_is_not_there_is_told_with_what_names_it() {
    let agent = TestAgent::prepared(&Setup::default());
    let file = agent.path("a config");
    fs::write(
        &file,
        "[SoftwareContainer]\n\nservice-manifest-dir = /etc/no-such-directory\n",
    )
    .unwrap();
    for (arguments, place) in [
        (
            vec!["--config", file.to_str().unwrap()],
            format!(
                "{}:3: [SoftwareContainer] service-manifest-dir",
                file.display()
            ),
        ),
        (
            vec!["--manifest-dir", "/etc/no-such-directory"],
            "option --manifest-dir".to_owned(),
        ),
    ] {
        let program = env!("CARGO_BIN_EXE_softwarecontainer-agent");
        let output = Command::new(program).args(arguments).output().unwrap();
        assert_eq!(output.status.code(), Some(1));
        let text = String::from_utf8(output.stderr).unwrap();
        let expected = format!("{place}: /etc/no-such-directory: cannot be read: No such file");
        assert!(text.contains(&expected), "{text}");
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
        (
            "processors",
            set("cpuset.cpus", "all"),
            &["config[0].value", "is not a list of numbers such as 0-3,6"],
        ),
        (
            "quota",
            set("cpu.max", "50%"),
            &["config[0].value", "\"50000 100000\""],
        ),
    ];
    let capabilities: Vec<(&str, Value)> = mistakes
        .iter()
        .map(|(name, gateways, _)| (*name, gateways.clone()))
        .collect();
    let agent = TestAgent::with(&Setup::manifest(&manifest(&capabilities)));
    let log = agent.log();
    let validated = validated(&agent);
    let id = agent.create();
    let place = format!("{}:1:", agent.path("manifests/test.json").display());
    for (name, _, parts) in mistakes {
        fails_with(agent.client().set_capabilities(id, &[name]), parts);
        let start = format!("capability {name}: ");
        for said in [&log, &validated] {
            let mistake = said
                .lines()
                .find(|line| line.contains(&start))
                .unwrap_or_default();
            for part in parts.iter().chain([&place.as_str()]) {
                assert!(
                    mistake.contains(part),
                    "{part:?} is missing from {mistake:?}: {said}"
                );
            }
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
