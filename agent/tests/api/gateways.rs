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
    support::{Setup, TestAgent, wait_until},
};

/// A D-Bus string cannot hold such a character: whoever sends one loses the bus.
#[test]
fn a_nul_character_in_a_manifest_fails_its_capability_and_nothing_else() {
    let file = |host: &str, container: &str| {
        json!([{"id": "file", "config": [
            {"path-host": host, "path-container": container, "read-only": true}]}])
    };
    let agent = TestAgent::with(&Setup::manifest(&manifest(&[
        ("com.host", file("/usr/a\0b", "/x")),
        ("com.container", file("/usr/share", "/x\0y")),
        (
            "com.device",
            json!([{"id": "devicenode", "config": [{"name": "/dev/a\0b"}]}]),
        ),
    ])));
    let id = agent.create();
    for capability in ["com.host", "com.container", "com.device"] {
        fails_with(
            agent.client().set_capabilities(id, &[capability]),
            &[capability, "NUL"],
        );
    }
    assert_eq!(agent.shell_ok(id, "echo fine"), "fine");
}

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

/// A device node that a test makes, as the kernel does when a device is plugged in.
fn plug(node: &std::path::Path, minor: &str) {
    let made = Command::new("mknod")
        .args(["-m", "666"])
        .arg(node)
        .args(["c", "1", minor])
        .status();
    assert!(made.unwrap().success());
}

#[test]
fn a_device_that_comes_back_with_another_number_is_followed() {
    let dir = tempfile::TempDir::with_prefix("sc-test-").unwrap();
    let node = dir.path().join("ttyUSB0");
    let name = node.to_str().unwrap();
    // /dev/mem and /dev/port: no container has these by itself.
    plug(&node, "1");
    let agent = TestAgent::with(&device_setup(&json!([{"name": name}])));
    let (client, id) = (agent.client(), agent.create());
    let is_open = |path: &str| agent.shell(id, &format!("exec 3<{path}")).1;
    client.set_capabilities(id, &["com.device"]).unwrap();
    // What the launcher mounts shows what the devices cgroup allows.
    let old = agent.path("old");
    plug(&old, "1");
    client
        .bind_mount(id, old.to_str().unwrap(), "/tmp/old", false)
        .unwrap();
    let refused = |text: &str| text.contains("Operation not permitted");
    let number = || agent.shell_ok(id, &format!("stat -c %T {name} || :"));
    assert_eq!(number(), "1");

    fs::remove_file(&node).unwrap();
    fails_with(
        client.set_capabilities(id, &["com.device"]),
        &["gateway devicenode", name, "No such file"],
    );
    assert_ne!(agent.shell(id, &format!("test -e {name}")).0, 0);
    assert!(
        refused(&is_open("/tmp/old")),
        "the right to the old number is left"
    );

    plug(&node, "4");
    wait_until("the new device is there", || number() == "4");
    client.set_capabilities(id, &["com.device"]).unwrap();
    assert!(refused(&is_open("/tmp/old")));

    // Unplugged and plugged in without any call.
    fs::remove_file(&node).unwrap();
    plug(&node, "1");
    wait_until("the device is followed", || number() == "1");
}

#[test]
fn a_file_or_socket_that_is_replaced_on_the_host_is_followed() {
    let dir = tempfile::TempDir::with_prefix("sc-test-").unwrap();
    let (file, next) = (dir.path().join("localtime"), dir.path().join("next"));
    fs::write(&file, "one").unwrap();
    let shared = json!({"id": "file", "config": [
        {"path-host": file, "path-container": "/mnt/localtime", "read-only": true},
    ]});
    let agent = TestAgent::with(&Setup::manifest(&manifest(&[("com.a", json!([shared]))])));
    let id = agent.create();
    agent.client().set_capabilities(id, &["com.a"]).unwrap();
    let seen = || agent.shell_ok(id, "cat /mnt/localtime");
    let output = agent.path("seen");
    let watcher = "sh -c 'while [ \"$(cat /mnt/localtime)\" != two ]; do usleep 5000; done'";
    let pid = agent
        .client()
        .execute(id, watcher, "", output.to_str().unwrap(), &[])
        .unwrap();
    assert_eq!(seen(), "one");
    fs::write(&next, "two").unwrap();
    fs::rename(&next, &file).unwrap();
    // A process that runs already sees it, so no Execute has brought it.
    assert_eq!(agent.client().wait_ended(id, pid).exit_code, 0);
    // While there is none, the old one stays.
    fs::remove_file(&file).unwrap();
    assert_eq!(seen(), "two");
}

#[test]
fn a_failed_call_leaves_no_directory_and_no_mount_point() {
    let dir = tempfile::TempDir::with_prefix("sc-test-").unwrap();
    let host = dir.path().to_str().unwrap();
    let shared = json!({"id": "file", "config": [
        {"path-host": host, "path-container": "/half/way/there", "read-only": true},
        {"path-host": "/etc/hostname", "path-container": "/half/file", "read-only": true},
        {"path-host": format!("{host}/absent"), "path-container": "/zzz", "read-only": true},
    ]});
    let whole = json!({"id": "file", "config": [
        {"path-host": host, "path-container": "/whole/directory", "read-only": true},
    ]});
    let device = json!({"id": "devicenode", "config": [{"name": "/dev/no-such-device"}]});
    let agent = TestAgent::with(&Setup::manifest(&manifest(&[
        ("com.half", json!([shared])),
        ("com.device", json!([whole, device])),
    ])));
    let id = agent.create();
    let before = agent.shell_ok(
        id,
        "ls -A /; ls -A /gateways; cut -d' ' -f5 /proc/self/mountinfo",
    );
    for name in ["com.half", "com.device"] {
        agent.client().set_capabilities(id, &[name]).unwrap_err();
        let after = agent.shell_ok(
            id,
            "ls -A /; ls -A /gateways; cut -d' ' -f5 /proc/self/mountinfo",
        );
        assert_eq!(after, before, "{name}");
    }
}
