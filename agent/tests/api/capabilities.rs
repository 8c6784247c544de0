//! ListCapabilities, SetCapabilities and the manifests behind them.

use std::fs;

use serde_json::{Value, json};

use crate::{
    fails_with,
    support::{Setup, TestAgent},
};

/// A manifest with the given capabilities: name and gateways.
pub fn manifest(capabilities: &[(&str, Value)]) -> String {
    let list: Vec<Value> = capabilities
        .iter()
        .map(|(name, gateways)| json!({"name": name, "gateways": gateways}))
        .collect();
    json!({"version": "1", "capabilities": list}).to_string()
}

pub fn env(name: &str, value: &str) -> Value {
    json!({"id": "env", "config": [{"name": name, "value": value}]})
}

fn file(host: &str, container: &str, read_only: bool) -> Value {
    json!({"id": "file", "config": [
        {"path-host": host, "path-container": container, "read-only": read_only}
    ]})
}

fn files(list: &[(&str, String)]) -> Vec<(String, String)> {
    list.iter()
        .map(|(name, text)| ((*name).to_owned(), text.clone()))
        .collect()
}

fn variable(agent: &TestAgent, id: i32, name: &str) -> String {
    agent.shell_ok(id, &format!("echo \"${{{name}-unset}}\""))
}

#[test]
fn the_names_of_the_manifest_directory_are_listed_and_no_others() {
    let agent = TestAgent::with(&Setup {
        manifests: files(&[
            (
                "b.json",
                manifest(&[("com.b", json!([])), ("com.a", json!([env("A", "1")]))]),
            ),
            ("a.json", manifest(&[("com.b", json!([env("B", "1")]))])),
            ("ignored.txt", "no json".to_owned()),
            ("ignored.json.bak", "no json".to_owned()),
            (".json", "no json".to_owned()),
        ]),
        default_manifests: files(&[("d.json", manifest(&[("com.default", json!([]))]))]),
        ..Setup::default()
    });
    let mut names = agent.client().list_capabilities();
    names.sort();
    assert_eq!(names, ["com.a", "com.b"]);
    let id = agent.create();
    fails_with(
        agent.client().set_capabilities(id, &["com.default"]),
        &["com.default"],
    );
    // A capability without gateways is valid.
    agent.client().set_capabilities(id, &["com.b"]).unwrap();
    assert_eq!(variable(&agent, id, "B"), "1");
}

#[test]
fn an_unknown_name_fails_the_whole_call() {
    let agent = TestAgent::with(&Setup::manifest(&manifest(&[(
        "com.known",
        json!([env("KNOWN", "1")]),
    )])));
    let client = agent.client();
    let id = agent.create();
    for names in [
        &["com.unknown"][..],
        &["com.known", "com.unknown"],
        &[""],
        &["com.Known"],
    ] {
        fails_with(
            client.set_capabilities(id, names),
            &["capability", names.last().unwrap()],
        );
    }
    assert_eq!(variable(&agent, id, "KNOWN"), "unset");
    client.set_capabilities(id, &["com.known"]).unwrap();
    assert_eq!(variable(&agent, id, "KNOWN"), "1");
}

#[test]
fn the_default_capabilities_come_with_the_first_call_or_the_first_process() {
    let setup = Setup {
        manifests: files(&[("m.json", manifest(&[("com.a", json!([env("A", "1")]))]))]),
        default_manifests: files(&[(
            "d.json",
            manifest(&[("com.d", json!([env("DEFAULT", "1")]))]),
        )]),
        ..Setup::default()
    };
    let agent = TestAgent::with(&setup);
    let client = agent.client();
    let file = |id: i32| agent.container_dir(id).join("gateways/env");

    let by_execute = agent.create();
    assert!(!file(by_execute).exists());
    assert_eq!(variable(&agent, by_execute, "DEFAULT"), "1");
    assert_eq!(variable(&agent, by_execute, "A"), "unset");

    let by_call = agent.create();
    client.set_capabilities(by_call, &["com.a"]).unwrap();
    let exports = fs::read_to_string(file(by_call)).unwrap();
    assert_eq!(exports, "export A='1'\nexport DEFAULT='1'\n");
    assert_eq!(agent.shell_ok(by_call, ". /gateways/env; echo $A"), "1");

    let by_nothing = agent.create();
    client.set_capabilities(by_nothing, &[]).unwrap();
    assert!(!file(by_nothing).exists(), "an empty list changes nothing");
    assert_eq!(variable(&agent, by_nothing, "DEFAULT"), "1");
}

#[test]
fn default_capabilities_that_cannot_be_applied_are_an_error_of_execute() {
    let agent = TestAgent::with(&Setup {
        default_manifests: files(&[(
            "d.json",
            manifest(&[("com.d", json!([file("/no/such/host/path", "/mnt/x", true)]))]),
        )]),
        ..Setup::default()
    });
    let id = agent.create();
    fails_with(
        agent.client().execute(id, "true", "", "", &[]),
        &["gateway file", "/no/such/host/path"],
    );
}

#[test]
fn a_capability_in_several_files_is_all_of_them() {
    let agent = TestAgent::with(&Setup {
        manifests: files(&[
            ("1.json", manifest(&[("com.a", json!([env("ONE", "1")]))])),
            ("2.json", manifest(&[("com.a", json!([env("TWO", "2")]))])),
        ]),
        ..Setup::default()
    });
    let id = agent.create();
    agent.client().set_capabilities(id, &["com.a"]).unwrap();
    assert_eq!(agent.shell_ok(id, "echo $ONE $TWO"), "1 2");
}

#[test]
fn a_gateway_configuration_that_is_wrong_is_named_and_changes_nothing() {
    let bad = [
        ("com.empty", json!([{"id": "env", "config": []}]), "env"),
        (
            "com.unknown",
            json!([{"id": "teleport", "config": [{}]}]),
            "teleport",
        ),
        (
            "com.env",
            json!([{"id": "env", "config": [{"name": "A"}]}]),
            "value",
        ),
        (
            "com.file",
            json!([{"id": "file", "config": [{"path-host": "/tmp", "path-container": "relative", "read-only": true}]}]),
            "path-container",
        ),
        (
            "com.file-type",
            json!([{"id": "file", "config": [{"path-host": "/tmp", "path-container": "/x", "read-only": "no"}]}]),
            "read-only",
        ),
        (
            "com.device",
            json!([{"id": "devicenode", "config": [{"name": "/dev/null", "mode": "999"}]}]),
            "mode",
        ),
    ];
    let capabilities: Vec<(&str, Value)> = bad
        .iter()
        .map(|(name, gateways, _)| {
            let mut with_good = vec![env("GOOD", "1")];
            with_good.extend(gateways.as_array().unwrap().iter().cloned());
            (*name, Value::Array(with_good))
        })
        .collect();
    let agent = TestAgent::with(&Setup::manifest(&manifest(&capabilities)));
    let id = agent.create();
    for (name, _, part) in bad {
        fails_with(
            agent.client().set_capabilities(id, &[name]),
            &["gateway", part, name],
        );
    }
    assert_eq!(variable(&agent, id, "GOOD"), "unset");
}

#[test]
fn a_call_that_fails_late_leaves_the_container_as_it_was() {
    let dir = tempfile::TempDir::with_prefix("sc-test-").unwrap();
    let host = dir.path().join("host");
    fs::create_dir(&host).unwrap();
    fs::write(host.join("file"), "content").unwrap();
    let host = host.to_str().unwrap();
    let agent = TestAgent::with(&Setup::manifest(&manifest(&[
        (
            "com.before",
            json!([env("BEFORE", "1"), file(host, "/mnt/before", true)]),
        ),
        // The device nodes come after the files and before the variables.
        (
            "com.late",
            json!([
                env("LATE", "1"),
                file(host, "/mnt/late", false),
                file(host, "/mnt/before", false),
                {"id": "devicenode", "config": [{"name": "/dev/loop-control"}, {"name": "/dev/no-such-device"}]},
            ]),
        ),
        (
            "com.not-a-device",
            json!([file(host, "/mnt/late", false), {"id": "devicenode", "config": [{"name": "/etc/passwd"}]}]),
        ),
        (
            "com.busy",
            json!([file(host, "/mnt/late", false), file(host, "/usr", false)]),
        ),
        (
            "com.conflict",
            json!([file(host, "/mnt/late", false), env("BEFORE", "2")]),
        ),
        (
            "com.after",
            json!([env("AFTER", "1"), file(host, "/mnt/late", false)]),
        ),
    ])));
    let client = agent.client();
    let id = agent.create();
    client.set_capabilities(id, &["com.before"]).unwrap();
    let mounts = |id| agent.shell_ok(id, "cat /proc/self/mountinfo | cut -d' ' -f5,6 | sort");
    let before = mounts(id);
    for (name, parts) in [
        ("com.late", ["gateway devicenode", "/dev/no-such-device"]),
        ("com.not-a-device", ["gateway devicenode", "/etc/passwd"]),
        ("com.busy", ["gateway file", "/usr"]),
        ("com.conflict", ["gateway", "BEFORE"]),
    ] {
        fails_with(client.set_capabilities(id, &[name]), &parts);
        assert_eq!(mounts(id), before, "{name}");
        assert_eq!(variable(&agent, id, "LATE"), "unset", "{name}");
        assert_eq!(variable(&agent, id, "BEFORE"), "1", "{name}");
        let (status, _) = agent.shell(id, "echo x > /mnt/before/file");
        assert_ne!(status, 0, "{name}: it was mounted read-only");
        let (status, _) = agent.shell(id, "test -c /dev/loop-control");
        assert_ne!(status, 0, "{name}");
    }
    client.set_capabilities(id, &["com.after"]).unwrap();
    assert_eq!(agent.shell_ok(id, "cat /mnt/late/file"), "content");
    assert_eq!(variable(&agent, id, "AFTER"), "1");
}

#[test]
fn a_repeat_changes_nothing_and_another_capability_adds() {
    let dir = tempfile::TempDir::with_prefix("sc-test-").unwrap();
    let host = dir.path().to_str().unwrap();
    let append = json!({"id": "env", "config": [
        {"name": "LIST", "value": "x", "mode": "append", "separator": ":"}
    ]});
    let default_append = json!({"id": "env", "config": [
        {"name": "LIST", "value": "default", "mode": "append", "separator": ":"}
    ]});
    let device =
        json!({"id": "devicenode", "config": [{"name": "/dev/loop-control", "mode": "600"}]});
    let agent = TestAgent::with(&Setup {
        manifests: files(&[(
            "m.json",
            manifest(&[
                (
                    "com.all",
                    json!([append, file(host, "/mnt/x", true), device]),
                ),
                ("com.more", json!([append, file(host, "/mnt/x", false)])),
                (
                    "com.mode",
                    json!([{"id": "devicenode", "config": [{"name": "/dev/loop-control", "mode": 66}]}]),
                ),
                (
                    "com.mode2",
                    json!([{"id": "devicenode", "config": [{"name": "/dev/loop-control", "mode": "066"}]}]),
                ),
            ]),
        )]),
        default_manifests: files(&[("d.json", manifest(&[("com.d", json!([default_append]))]))]),
        ..Setup::default()
    });
    let client = agent.client();
    let id = agent.create();
    let state = |id| {
        let device = agent.shell_ok(id, "stat -c %a /dev/loop-control");
        let (written, _) = agent.shell(id, "touch /mnt/x/file");
        (device, written == 0, variable(&agent, id, "LIST"))
    };
    for round in 0..3 {
        let names = if round == 2 {
            &["com.all", "com.all"][..]
        } else {
            &["com.all"]
        };
        client.set_capabilities(id, names).unwrap();
        assert_eq!(
            state(id),
            ("600".to_owned(), false, "default:x".to_owned()),
            "round {round}"
        );
    }
    for _ in 0..2 {
        client.set_capabilities(id, &["com.more"]).unwrap();
        assert_eq!(
            state(id),
            ("600".to_owned(), true, "default:x:x".to_owned())
        );
    }
    fails_with(client.set_capabilities(id, &["com.mode"]), &["mode", "66"]);
    client
        .set_capabilities(id, &["com.mode2", "com.all"])
        .unwrap();
    assert_eq!(state(id).0, "666");
    // What is allowed only grows.
    client.set_capabilities(id, &["com.all"]).unwrap();
    assert_eq!(
        state(id),
        ("666".to_owned(), true, "default:x:x".to_owned())
    );
}

/// A vendor's mistake in one manifest fails the capability that has it, not the car.
#[test]
fn a_malformed_element_fails_its_capability_and_nothing_else() {
    let dbus = |config: Value| json!([{"id": "dbus", "config": config}]);
    let rule = |direction: &str| {
        json!([{"dbus-gateway-config-session": [{"direction": direction, "interface": "*",
            "object-path": "*", "method": "*"}]}])
    };
    let agent = TestAgent::with(&Setup::manifest(&manifest(&[
        ("com.text", dbus(json!(["malformed"]))),
        (
            "com.number",
            dbus(json!([{"dbus-gateway-config-session": 7}])),
        ),
        ("com.nothing", dbus(json!([]))),
        ("com.gateway", json!([{"id": "nonsense", "config": [{}]}])),
        ("com.direction", dbus(rule("sideways"))),
        ("com.silent", dbus(rule(""))),
        ("com.good", json!([env("GOOD", "1")])),
    ])));
    let client = agent.client();
    let id = agent.create();
    for (name, parts) in [
        ("com.text", ["dbus", "config[0]", "malformed"]),
        ("com.number", ["dbus", "dbus-gateway-config-session", "7"]),
        ("com.nothing", ["dbus", "config", "empty"]),
        ("com.gateway", ["nonsense", "id", "no such gateway"]),
        ("com.direction", ["dbus", "direction", "sideways"]),
    ] {
        fails_with(client.set_capabilities(id, &[name]), &parts);
        assert!(
            agent.log().contains(
                &format!("WARN: {}/manifests/test.json:1:", agent.path("").display())
                    .replace("//", "/")
            ),
            "{}",
            agent.log()
        );
        assert!(
            agent.log().contains(&format!("capability {name}: ")),
            "{}",
            agent.log()
        );
    }
    client
        .set_capabilities(id, &["com.silent", "com.good"])
        .unwrap();
    assert_eq!(variable(&agent, id, "GOOD"), "1");
    assert!(variable(&agent, id, "DBUS_SESSION_BUS_ADDRESS").starts_with("unix:path="));
}
