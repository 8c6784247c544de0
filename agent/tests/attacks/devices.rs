//! Devices of the host: no node is made, none that exists works.

use std::fs;

use crate::world::{Attack, refused};

#[test]
fn no_node_of_a_disk_is_made() {
    refused("mknod_block", &["EPERM"]);
}

#[test]
fn no_node_of_the_memory_is_made() {
    refused("mknod_mem", &["EPERM"]);
}

#[test]
fn no_node_of_the_hypervisor_is_made() {
    refused("mknod_kvm", &["EPERM"]);
}

#[test]
fn no_disk_is_in_dev() {
    refused("raw_disk", &["ENOENT"]);
}

#[test]
fn the_memory_is_not_in_dev() {
    refused("dev_mem", &["ENOENT"]);
}

/// As a wrong file gateway would: a directory of nodes is mounted in the container.
#[test]
fn a_node_in_a_mounted_directory_does_not_work() {
    let attack = Attack::new();
    let directory = attack.agent.path(&format!("nodes-{}", attack.id));
    fs::create_dir(&directory).unwrap();
    let node = directory.join("mem");
    let made = std::process::Command::new("mknod")
        .arg("-m666")
        .arg(&node)
        .args(["c", "1", "1"])
        .status();
    assert!(made.unwrap().success());
    let host = directory.to_str().unwrap();
    attack
        .agent
        .client()
        .bind_mount(attack.id, host, "/nodes", true)
        .unwrap();
    attack.refused("open_device /nodes/mem", &["EACCES"]);
}

/// As a wrong BindMount of a node would: the mount lets it work, the device cgroup does not.
#[test]
fn a_node_that_is_mounted_itself_is_refused_by_the_device_cgroup() {
    let attack = Attack::new();
    attack
        .agent
        .client()
        .bind_mount(attack.id, "/dev/kmsg", "/kmsg", false)
        .unwrap();
    attack.refused("open_device /kmsg", &["EPERM", "EACCES"]);
}
