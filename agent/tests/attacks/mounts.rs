//! Mounts: none is made, changed or removed.

use std::fs;

use crate::{
    support::{Setup, TestAgent},
    world::{Attack, refused},
};

#[test]
fn a_tmpfs_cannot_be_mounted() {
    refused("mount_tmpfs", &["EPERM"]);
}

#[test]
fn proc_cannot_be_mounted_again() {
    refused("mount_proc", &["EPERM"]);
}

#[test]
fn the_new_mount_api_is_closed() {
    refused("mount_new_api", &["EPERM"]);
}

#[test]
fn no_tree_can_be_cloned() {
    refused("open_tree_clone", &["EPERM"]);
}

#[test]
fn a_read_only_mount_cannot_be_remounted() {
    refused("remount_rw", &["EPERM"]);
}

#[test]
fn a_read_only_mount_cannot_be_changed_by_mount_setattr() {
    refused("mount_setattr_rw", &["EPERM"]);
}

#[test]
fn the_systems_programs_cannot_be_written() {
    refused("write_usr", &["EROFS"]);
}

#[test]
fn what_hides_files_of_proc_cannot_be_unmounted() {
    refused("umount_masked", &["EPERM"]);
}

#[test]
fn the_root_cannot_be_pivoted() {
    refused("pivot_root", &["EPERM"]);
}

#[test]
fn a_file_cannot_be_opened_by_handle() {
    refused("open_by_handle", &["EPERM"]);
}

/// Where liblxc puts a root tree together, proc and sysfs are mounted before anything hides parts
/// of them.
#[test]
fn no_mount_shows_proc_or_sys_once_more() {
    let attack = Attack::new();
    let list = attack.agent.shell_ok(attack.id, "cat /proc/self/mountinfo");
    let mut seen = 0;
    for line in list.lines() {
        let (mount, kind) = line.split_once(" - ").unwrap();
        let point = mount.split(' ').nth(4).unwrap();
        let allowed = match kind.split(' ').next().unwrap() {
            "proc" => "/proc",
            "sysfs" => "/sys",
            _ => {
                assert!(!point.contains("lxc"), "{line}");
                continue;
            }
        };
        seen += 1;
        assert!(
            point == allowed || point.starts_with(&format!("{allowed}/")),
            "{line}"
        );
    }
    assert!(seen >= 2, "{list}");
    // Nor is anything of it left in the empty mount points.
    for path in ["proc/keys", "proc/irq", "sys/firmware", "proc/self"] {
        let found =
            format!("ls -d /usr/lib*/lxc/rootfs/{path} /usr/lib/*/lxc/rootfs/{path} 2>/dev/null");
        assert_eq!(attack.agent.shell(attack.id, &found).1, "");
    }
}

const MANIFEST: &str = r#"{"version": "1", "capabilities": [
    {"name": "test.read", "gateways": [{"id": "file", "config": [
        {"path-host": "/usr/share", "path-container": "/tmp/a/sys", "read-only": true}]}]},
    {"name": "test.write", "gateways": [{"id": "file", "config": [
        {"path-host": "/usr/share", "path-container": "/tmp/a/sys", "read-only": false}]}]},
    {"name": "test.env", "gateways": [{"id": "env", "config": [{"name": "A", "value": "1"}]}]},
    {"name": "test.dbus", "gateways": [{"id": "dbus", "config": [
        {"dbus-gateway-config-session": []}]}]}
]}"#;

/// The agent unmounts what it has mounted, and not what now has the name.
#[test]
fn a_mount_is_not_undone_by_a_name_that_the_app_has_moved() {
    let agent = TestAgent::with(&Setup::manifest(MANIFEST));
    let id = agent.create();
    agent.client().set_capabilities(id, &["test.read"]).unwrap();
    let of_proc = "grep -c ' /proc/sys ' /proc/self/mountinfo";
    let before = agent.shell_ok(id, of_proc);
    agent.shell_ok(id, "mv /tmp/a /tmp/b; ln -s /proc /tmp/a");
    // The read-only mount is replaced by a writable one.
    let result = agent.client().set_capabilities(id, &["test.write"]);
    assert_eq!(agent.shell_ok(id, of_proc), before, "{result:?}");
    assert_ne!(agent.shell(id, "echo > /proc/sys/kernel/core_pattern").0, 0);
    // What is gone by the agent's account is gone from where the app has moved it.
    let moved = agent.shell_ok(id, "grep -c ' /tmp/b/sys ' /proc/self/mountinfo || :");
    assert_eq!(moved, "0");
    agent.client().destroy(id).unwrap();
}

/// The app can write to /gateways; what it puts there leads the agent nowhere.
#[test]
fn what_an_app_plants_in_gateways_leads_the_agent_nowhere() {
    let agent = TestAgent::with(&Setup::manifest(MANIFEST));
    let id = agent.create();
    let victim = agent.path("victim");
    fs::create_dir(&victim).unwrap();
    fs::write(victim.join("file"), "precious").unwrap();
    // The same path is there for the app and for the host's root.
    let plant = format!(
        "cd /gateways; for name in env .env.new sess_SC-{id}.sock .init; do ln -s {}/file $name; done",
        victim.display()
    );
    agent.shell_ok(id, &plant);
    let client = agent.client();
    client
        .set_capabilities(id, &["test.env", "test.dbus"])
        .unwrap();
    agent.shell_ok(id, ". /gateways/env; test \"$A\" = 1");
    agent.shell_ok(id, &format!("test -S /gateways/sess_SC-{id}.sock"));
    // A directory in the way fails the call, and harms nobody else.
    let other = agent.create();
    agent.shell_ok(other, "mkdir -p /gateways/env/x");
    client.set_capabilities(other, &["test.env"]).unwrap_err();
    agent.shell_ok(other, "rm -r /gateways/env");
    client.set_capabilities(other, &["test.env"]).unwrap();
    agent.shell_ok(
        other,
        &format!("rm -r /gateways/*; ln -s {} /gateways/d", victim.display()),
    );
    for id in [id, other] {
        client.destroy(id).unwrap();
    }
    assert_eq!(fs::read_to_string(victim.join("file")).unwrap(), "precious");
    assert_eq!(fs::read_dir(&victim).unwrap().count(), 1);
}
