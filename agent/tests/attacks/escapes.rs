//! Ways out of the root directory, and files that reach into the host.

use std::fs;

use crate::world::{Attack, Restored, refused};

/// A file that only the host has.
fn only_on_the_host(attack: &Attack) -> String {
    let path = attack.agent.path("only-on-the-host");
    fs::write(&path, "x").unwrap();
    path.to_str().unwrap().to_owned()
}

#[test]
fn chroot_and_fchdir_lead_nowhere() {
    let attack = Attack::new();
    let file = only_on_the_host(&attack);
    attack.refused(&format!("chroot_escape {file}"), &["EPERM"]);
}

#[test]
fn proc_1_root_is_not_the_hosts() {
    let attack = Attack::new();
    let file = only_on_the_host(&attack);
    attack.refused(&format!("proc_1_root {file}"), &["ENOENT", "EACCES"]);
}

#[test]
fn dotdot_ends_at_the_root() {
    let attack = Attack::new();
    let file = only_on_the_host(&attack);
    attack.refused(&format!("dotdot_escape {file}"), &["ENOENT"]);
}

#[test]
fn sysrq_cannot_be_triggered() {
    refused("sysrq", &["EROFS", "EACCES", "ENOENT"]);
}

#[test]
fn the_core_pattern_cannot_be_written() {
    let pattern = Restored::new("/proc/sys/kernel/core_pattern");
    refused("core_pattern", &["EROFS", "EACCES"]);
    assert!(pattern.is_unchanged());
}

#[test]
fn the_modprobe_path_cannot_be_written() {
    let path = Restored::new("/proc/sys/kernel/modprobe");
    refused("modprobe_path", &["EROFS", "EACCES", "ENOENT"]);
    assert!(path.is_unchanged());
}

#[test]
fn the_uevent_helper_cannot_be_written() {
    let path = Restored::new("/sys/kernel/uevent_helper");
    refused("uevent_helper", &["EROFS", "EACCES", "ENOENT"]);
    assert!(path.is_unchanged());
}

#[test]
fn sys_is_read_only() {
    refused("write_sys", &["EROFS"]);
}

#[test]
fn nothing_of_the_kernel_can_be_opened_for_writing() {
    refused("open_kernel_files", &["EACCES"]);
}

#[test]
fn no_release_agent_is_in_sight() {
    refused("release_agent", &["ENOENT", "EROFS", "EACCES"]);
}

#[test]
fn no_cgroup_hierarchy_can_be_mounted_for_its_release_agent() {
    refused("cgroup_mount_release_agent", &["EPERM"]);
}

#[test]
fn own_limits_cannot_be_lifted() {
    refused("cgroup_own_limit", &["ENOENT", "EROFS", "EACCES"]);
}

#[test]
fn the_directory_of_containers_is_out_of_reach() {
    let attack = Attack::new();
    let other = attack.agent.create();
    let directory = attack.agent.container_dir(other);
    assert!(directory.join("gateways").exists());
    let path = directory.join("gateways");
    attack.refused(&format!("host_path {}", path.display()), &["ENOENT"]);
    attack.agent.client().destroy(other).unwrap();
}

/// Its directory on the host, through a mount that a launcher was wrong to make: rights still hold.
#[test]
fn another_containers_root_belongs_to_other_users() {
    let attack = Attack::new();
    let other = attack.agent.create();
    attack
        .agent
        .shell_ok(other, "umask 077; mkdir /root/private");
    let upper = attack.agent.container_dir(other).join("rootfs-upper");
    attack
        .agent
        .client()
        .bind_mount(attack.id, upper.to_str().unwrap(), "/other", true)
        .unwrap();
    attack.refused("host_path /other/root/private", &["EACCES"]);
    attack.agent.client().destroy(other).unwrap();
}

#[test]
fn the_agents_socket_is_gone() {
    refused("agent_socket", &["ENOENT", "ECONNREFUSED"]);
}

#[test]
fn the_system_bus_is_not_there() {
    refused("system_bus", &["ENOENT"]);
}

#[test]
fn the_journal_is_not_there() {
    refused("journal_flood", &["ENOENT"]);
}

#[test]
fn no_system_log_is_there() {
    refused("log_flood", &["ENOENT"]);
}

#[test]
fn no_abstract_socket_of_the_host_is_in_sight() {
    refused("abstract_sockets", &["ENOENT"]);
}
