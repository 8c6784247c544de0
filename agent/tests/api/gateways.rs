//! The gateways env, file and devicenode in a running container.

use std::{
    fs,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _},
    process::Command,
};

use serde_json::{Value, json};

use crate::{
    capabilities::{env, manifest},
    fails_with,
    support::{Setup, TestAgent},
};

#[test]
fn variables_of_the_call_win_over_those_of_gateways() {
    let variables = json!({"id": "env", "config": [
        {"name": "A", "value": "gateway"},
        {"name": "B", "value": "gateway"},
        {"name": "PATH", "value": "/opt/bin:/bin"},
        {"name": "P", "value": "2", "mode": "PREPEND"},
        {"name": "P", "value": "1", "mode": "prepend", "separator": "-"},
        {"name": "P", "value": "3", "mode": "Append"},
    ]});
    let agent = TestAgent::with(&Setup::manifest(&manifest(&[(
        "com.a",
        json!([variables]),
    )])));
    let client = agent.client();
    let id = agent.create();
    client.set_capabilities(id, &["com.a"]).unwrap();
    let output = agent.path("output");
    let command = "/bin/sh -c 'echo $A $B $C $PATH $P'";
    let pid = client
        .execute(
            id,
            command,
            "",
            output.to_str().unwrap(),
            &[("A", "call"), ("C", "call")],
        )
        .unwrap();
    client.wait_ended(id, pid);
    assert_eq!(
        fs::read_to_string(&output).unwrap(),
        "call gateway call /opt/bin:/bin 1-23\n"
    );
    // Those of a call are for that call only.
    assert_eq!(agent.shell_ok(id, "echo $A $C"), "gateway");
}

#[test]
fn variables_count_for_processes_that_start_later() {
    let agent = TestAgent::with(&Setup::manifest(&manifest(&[
        ("com.a", json!([env("A", "1")])),
        ("com.odd", json!([env("ODD", "it's \"$HOME\"\n`x`")])),
    ])));
    let client = agent.client();
    let id = agent.create();
    assert_eq!(agent.shell_ok(id, "echo \"[$A]\""), "[]");
    client.set_capabilities(id, &["com.a", "com.odd"]).unwrap();
    assert_eq!(agent.shell_ok(id, "echo \"[$A]\""), "[1]");
    assert_eq!(
        agent.shell_ok(id, "unset ODD; . /gateways/env; echo \"$ODD\""),
        "it's \"$HOME\"\n`x`"
    );
}

#[test]
fn a_file_is_shared_as_read_only_says() {
    let dir = tempfile::TempDir::with_prefix("sc-test-").unwrap();
    let at = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    fs::write(at("file"), "content").unwrap();
    fs::create_dir(at("directory")).unwrap();
    let shared = json!({"id": "file", "config": [
        {"path-host": at("file"), "path-container": "/mnt/ro", "read-only": true},
        {"path-host": at("file"), "path-container": "/mnt/rw", "read-only": false},
        {"path-host": at("directory"), "path-container": "/mnt/d", "read-only": true},
        {"path-host": at("directory"), "path-container": "/mnt/d", "read-only": false},
    ]});
    let agent = TestAgent::with(&Setup::manifest(&manifest(&[("com.a", json!([shared]))])));
    let id = agent.create();
    agent.client().set_capabilities(id, &["com.a"]).unwrap();
    assert_eq!(agent.shell_ok(id, "cat /mnt/ro"), "content");
    assert_ne!(agent.shell(id, "echo > /mnt/ro").0, 0);
    agent.shell_ok(id, "echo changed > /mnt/rw; echo > /mnt/d/both");
    assert_eq!(fs::read_to_string(at("file")).unwrap(), "changed\n");
    assert!(fs::metadata(at("directory/both")).is_ok());
}

#[test]
fn a_place_taken_by_a_bind_mount_is_an_error_of_the_file_gateway() {
    let dir = tempfile::TempDir::with_prefix("sc-test-").unwrap();
    let host = dir.path().to_str().unwrap();
    let shared = json!({"id": "file", "config": [
        {"path-host": host, "path-container": "/mnt/taken", "read-only": true},
    ]});
    let agent = TestAgent::with(&Setup::manifest(&manifest(&[("com.a", json!([shared]))])));
    let client = agent.client();
    let id = agent.create();
    client.bind_mount(id, "/tmp", "/mnt/taken", true).unwrap();
    fails_with(
        client.set_capabilities(id, &["com.a"]),
        &["gateway file", "/mnt/taken", "mount point"],
    );
}

/// A device node with the numbers of `/dev/loop-control`, which no container has by itself.
fn device_setup(elements: &Value) -> Setup {
    Setup::manifest(&manifest(&[(
        "com.device",
        json!([{"id": "devicenode", "config": elements}]),
    )]))
}

#[test]
fn a_device_works_only_after_it_was_allowed() {
    let agent = TestAgent::with(&device_setup(&json!([{"name": "/dev/loop-control"}])));
    let client = agent.client();
    let id = agent.create();
    assert_ne!(agent.shell(id, "test -e /dev/loop-control").0, 0);
    // The node alone, bind-mounted by a launcher, is not enough for what the cgroup does not allow.
    client
        .bind_mount(id, "/dev/loop-control", "/mnt/node", false)
        .unwrap();
    assert_ne!(agent.shell(id, "exec 3</mnt/node").0, 0);
    client.set_capabilities(id, &["com.device"]).unwrap();
    agent.shell_ok(id, "test -c /dev/loop-control && exec 3<>/dev/loop-control");
    let host = fs::metadata("/dev/loop-control").unwrap();
    let numbers = agent.shell_ok(id, "stat -c '%t:%T %a' /dev/loop-control");
    assert_eq!(numbers, format!("a:ed {:o}", host.mode() & 0o777));
    assert_eq!(agent.shell_ok(id, "stat -c %u:%g /dev/loop-control"), "0:0");
    // Another container has nothing of it.
    let other = agent.create();
    assert_ne!(agent.shell(other, "test -e /dev/loop-control").0, 0);
}

#[test]
fn device_modes_are_octal_and_add_up_by_digit() {
    for (modes, wanted) in [
        (json!([{"mode": "660"}]), "660"),
        (json!([{"mode": 644}]), "644"),
        (json!([{"mode": "604"}, {"mode": 240}]), "644"),
        (json!([{"mode": "600"}, {}]), "600"),
    ] {
        let elements: Vec<Value> = modes
            .as_array()
            .unwrap()
            .iter()
            .map(|element| {
                let mut element = element.clone();
                element["name"] = json!("/dev/loop-control");
                element
            })
            .collect();
        let agent = TestAgent::with(&device_setup(&json!(elements)));
        let before = fs::metadata("/dev/loop-control").unwrap();
        let id = agent.create();
        agent
            .client()
            .set_capabilities(id, &["com.device"])
            .unwrap();
        assert_eq!(
            agent.shell_ok(id, "stat -c %a /dev/loop-control"),
            wanted,
            "{modes}"
        );
        let after = fs::metadata("/dev/loop-control").unwrap();
        assert_eq!(
            (before.mode(), before.uid()),
            (after.mode(), after.uid()),
            "the host's own node stays as it is"
        );
    }
}

#[test]
fn a_device_with_a_path_of_its_own_gets_there() {
    let dir = tempfile::TempDir::with_prefix("sc-test-").unwrap();
    let node = dir.path().join("my-zero");
    let made = Command::new("mknod")
        .arg(&node)
        .args(["c", "1", "5"])
        .status()
        .unwrap();
    assert!(made.success());
    fs::set_permissions(&node, fs::Permissions::from_mode(0o604)).unwrap();
    let name = node.to_str().unwrap();
    let agent = TestAgent::with(&device_setup(&json!([{"name": name}])));
    let id = agent.create();
    agent
        .client()
        .set_capabilities(id, &["com.device"])
        .unwrap();
    assert_eq!(
        agent.shell_ok(id, &format!("stat -c %a {name}; head -c 5 {name} | wc -c")),
        "604\n5"
    );
}
