//! Mounts: none is made, changed or removed.

use crate::world::refused;

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
