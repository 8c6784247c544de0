//! Each kind of change, made in a real overlay, arrives on the host.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::{
    fs,
    os::unix::{
        ffi::OsStrExt,
        fs::{FileExt, MetadataExt, PermissionsExt, symlink},
    },
    path::Path,
};

use rustix::fs::{CWD, FileType, Mode, XattrFlags};
use softwarecontainer_write_buffer::Mapping;
use support::{Bench, assert_same, cover, tree, without_links};

/// Runs `before` on the host, `inside` in the buffered view; checks that the host sees nothing of
/// it before the sync and all of it after.
fn round_trip(before: impl FnOnce(&Path), inside: impl FnOnce(&Path)) -> Bench {
    let bench = Bench::new();
    before(&bench.host());
    let (buffer, overlay) = cover(&bench.host(), &bench.place(), Mapping::IDENTITY, None).unwrap();
    bench.attach(overlay);
    let untouched = tree(&bench.host());
    assert_same(&tree(&bench.view()), &untouched);
    inside(&bench.view());
    assert_same(&tree(&bench.host()), &untouched);
    let wanted = without_links(tree(&bench.view()));
    bench.detach();
    assert!(buffer.sync().unwrap().first.is_empty());
    assert_same(&without_links(tree(&bench.host())), &wanted);
    buffer.discard().unwrap();
    assert!(!bench.place().exists());
    bench
}

fn chmod(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

fn set_xattr(path: &Path, name: &str, value: &[u8]) {
    rustix::fs::lsetxattr(path, name, value, XattrFlags::empty()).unwrap();
}

#[test]
fn unchanged_directory_stays_as_it_was() {
    round_trip(
        |host| {
            fs::write(host.join("file"), "old").unwrap();
            chmod(host, 0o1770);
            set_xattr(host, "user.root", b"kept");
        },
        |_| {},
    );
}

#[test]
fn contents_modes_owners_times_and_attributes_arrive() {
    round_trip(
        |host| fs::write(host.join("old"), "old").unwrap(),
        |view| {
            fs::write(view.join("old"), "new contents").unwrap();
            fs::write(view.join("new"), vec![7; 300_000]).unwrap();
            chmod(&view.join("new"), 0o751);
            std::os::unix::fs::chown(view.join("old"), Some(1000), Some(44)).unwrap();
            set_xattr(&view.join("old"), "user.colour", b"red");
            set_xattr(&view.join("old"), "user.empty", b"");
            set_xattr(&view.join("old"), "trusted.secret", b"\0\x01");
            let long_ago = std::time::UNIX_EPOCH + std::time::Duration::new(86_400, 123_456_789);
            let file = fs::File::open(view.join("new")).unwrap();
            file.set_modified(long_ago).unwrap();
            chmod(view, 0o711);
        },
    );
}

#[test]
fn deleted_files_and_trees_are_deleted() {
    let bench = round_trip(
        |host| {
            fs::write(host.join("file"), "x").unwrap();
            fs::create_dir_all(host.join("tree/a/b/c")).unwrap();
            fs::write(host.join("tree/a/b/c/deep"), "x").unwrap();
            fs::write(host.join("tree/stays"), "x").unwrap();
        },
        |view| {
            fs::remove_file(view.join("file")).unwrap();
            fs::remove_dir_all(view.join("tree/a")).unwrap();
        },
    );
    assert!(!bench.host().join("file").exists());
    assert!(bench.host().join("tree/stays").exists());
}

#[test]
fn directory_that_was_removed_and_made_anew_has_nothing_of_the_old_one() {
    let bench = round_trip(
        |host| {
            fs::create_dir_all(host.join("dir/old/older")).unwrap();
            fs::write(host.join("dir/both"), "old").unwrap();
            set_xattr(&host.join("dir"), "user.old", b"1");
        },
        |view| {
            fs::remove_dir_all(view.join("dir")).unwrap();
            fs::create_dir(view.join("dir")).unwrap();
            fs::write(view.join("dir/both"), "new").unwrap();
        },
    );
    assert!(!bench.host().join("dir/old").exists());
    assert!(support::xattrs(&bench.host().join("dir")).is_empty());
}

/// overlayfs marks only the topmost directory of a tree that was made anew.
#[test]
fn tree_that_was_removed_and_made_anew_has_nothing_of_the_old_one_at_any_depth() {
    round_trip(
        |host| {
            fs::create_dir_all(host.join("a/b/c/d")).unwrap();
            fs::write(host.join("a/b/c/d/old"), "old").unwrap();
            symlink("old", host.join("a/b/c/link")).unwrap();
            set_xattr(&host.join("a/b/c"), "user.old", b"old");
            chmod(&host.join("a/b/c"), 0o700);
        },
        |view| {
            fs::remove_dir_all(view.join("a/b")).unwrap();
            fs::create_dir_all(view.join("a/b/c/d")).unwrap();
            fs::write(view.join("a/b/c/d/new"), "new").unwrap();
        },
    );
}

#[test]
fn types_can_change_into_each_other() {
    round_trip(
        |host| {
            for kind in ["file", "link", "dir", "fifo"] {
                for to in ["file", "link", "dir", "fifo"] {
                    make(&host.join(format!("{kind}-{to}")), kind);
                }
            }
        },
        |view| {
            for kind in ["file", "link", "dir", "fifo"] {
                for to in ["file", "link", "dir", "fifo"] {
                    let path = view.join(format!("{kind}-{to}"));
                    if kind == "dir" {
                        fs::remove_dir_all(&path).unwrap();
                    } else {
                        fs::remove_file(&path).unwrap();
                    }
                    make(&path, to);
                }
            }
        },
    );
}

fn make(path: &Path, kind: &str) {
    match kind {
        "file" => fs::write(path, path.as_os_str().as_bytes()).unwrap(),
        "link" => symlink("/nowhere", path).unwrap(),
        "dir" => {
            fs::create_dir(path).unwrap();
            fs::write(path.join("child"), "x").unwrap();
        }
        _ => rustix::fs::mknodat(CWD, path, FileType::Fifo, Mode::RWXU, 0).unwrap(),
    }
}

#[test]
fn hard_links_stay_links_across_directories() {
    let bench = round_trip(
        |host| {
            fs::create_dir(host.join("a")).unwrap();
            fs::create_dir(host.join("z")).unwrap();
            fs::write(host.join("lower"), "x").unwrap();
        },
        |view| {
            fs::write(view.join("a/one"), "linked").unwrap();
            fs::hard_link(view.join("a/one"), view.join("z/two")).unwrap();
            fs::hard_link(view.join("a/one"), view.join("three")).unwrap();
            fs::hard_link(view.join("lower"), view.join("z/lower")).unwrap();
            symlink("target", view.join("a/symlink")).unwrap();
            fs::hard_link(view.join("a/symlink"), view.join("z/symlink")).unwrap();
        },
    );
    let inode = |name| {
        let found = bench.host().join(name).symlink_metadata().unwrap();
        (found.ino(), found.nlink())
    };
    assert_eq!(inode("a/one"), (inode("three").0, 3));
    assert_eq!(inode("z/two"), inode("three"));
    assert_eq!(inode("z/lower"), (inode("lower").0, 2));
    assert_eq!(inode("z/symlink"), (inode("a/symlink").0, 2));
}

#[test]
fn holes_stay_holes() {
    let bench = round_trip(
        |_| {},
        |view| {
            let file = fs::File::create(view.join("sparse")).unwrap();
            file.write_all_at(b"in the middle", 40 << 20).unwrap();
            file.set_len(80 << 20).unwrap();
            fs::File::create(view.join("hole only"))
                .unwrap()
                .set_len(10 << 20)
                .unwrap();
        },
    );
    let blocks = |name: &str| bench.host().join(name).metadata().unwrap().blocks();
    assert!(blocks("sparse") * 512 < 1 << 20, "{}", blocks("sparse"));
    assert_eq!(blocks("hole only"), 0);
}

#[test]
fn renamed_files_and_directories_arrive_under_their_new_names() {
    round_trip(
        |host| {
            fs::write(host.join("old"), "x").unwrap();
            fs::create_dir(host.join("dir")).unwrap();
            fs::write(host.join("dir/file"), "x").unwrap();
        },
        |view| {
            fs::rename(view.join("old"), view.join("dir/new")).unwrap();
            let denied = fs::rename(view.join("dir"), view.join("moved")).unwrap_err();
            assert_eq!(denied.raw_os_error(), Some(libc::EXDEV));
            fs::create_dir_all(view.join("fresh/sub")).unwrap();
            fs::write(view.join("fresh/sub/file"), "x").unwrap();
            fs::rename(view.join("fresh"), view.join("renamed")).unwrap();
        },
    );
}

#[test]
fn odd_names_arrive() {
    round_trip(
        |_| {},
        |view| {
            for name in [
                &b"\xff\xfe"[..],
                b"new\nline",
                b" ",
                b"\\",
                b".hidden",
                b"a:b,c",
            ] {
                fs::write(view.join(std::ffi::OsStr::from_bytes(name)), name).unwrap();
            }
            fs::write(view.join("n".repeat(255)), "longest").unwrap();
        },
    );
}

#[test]
fn symlink_that_the_app_planted_is_not_followed() {
    let outside = tempfile::tempdir().unwrap();
    fs::write(outside.path().join("victim"), "precious").unwrap();
    let bench = Bench::new();
    fs::create_dir(bench.host().join("dir")).unwrap();
    let (buffer, overlay) = cover(&bench.host(), &bench.place(), Mapping::IDENTITY, None).unwrap();
    bench.attach(overlay);
    fs::write(bench.view().join("dir/victim"), "overwritten").unwrap();
    fs::write(bench.view().join("file"), "overwritten").unwrap();
    bench.detach();
    // Somebody with access to the host directory swaps both for links meanwhile.
    fs::remove_dir(bench.host().join("dir")).unwrap();
    symlink(outside.path(), bench.host().join("dir")).unwrap();
    symlink(outside.path().join("victim"), bench.host().join("file")).unwrap();
    assert!(buffer.sync().unwrap().first.is_empty());
    let victim = fs::read_to_string(outside.path().join("victim")).unwrap();
    assert_eq!(victim, "precious");
    let written = fs::read_to_string(bench.host().join("dir/victim")).unwrap();
    assert_eq!(written, "overwritten");
}

#[test]
fn mount_beneath_the_directory_is_not_written_to() {
    let bench = Bench::new();
    let sub = bench.host().join("sub");
    fs::create_dir(&sub).unwrap();
    let (buffer, overlay) = cover(&bench.host(), &bench.place(), Mapping::IDENTITY, None).unwrap();
    bench.attach(overlay);
    fs::write(bench.view().join("sub/file"), "x").unwrap();
    bench.detach();
    support::mount_tmpfs(&sub, "1m");
    let result = buffer.sync();
    let in_mount = fs::read_dir(&sub).unwrap().count();
    rustix::mount::unmount(&sub, rustix::mount::UnmountFlags::empty()).unwrap();
    assert!(result.unwrap().first.is_empty());
    assert_eq!(in_mount, 0);
    assert_eq!(fs::read_to_string(sub.join("file")).unwrap(), "x");
}

#[test]
fn whiteouts_as_attributes_count_as_deletions() {
    let bench = Bench::new();
    fs::write(bench.host().join("gone"), "x").unwrap();
    fs::write(bench.host().join("emptied"), "x").unwrap();
    let (buffer, overlay) = cover(&bench.host(), &bench.place(), Mapping::IDENTITY, None).unwrap();
    drop(overlay);
    let upper = buffer.upper();
    fs::write(upper.join("gone"), "").unwrap();
    set_xattr(&upper.join("gone"), "trusted.overlay.whiteout", b"");
    fs::write(upper.join("emptied"), "").unwrap();
    assert!(buffer.sync().unwrap().first.is_empty());
    assert!(!bench.host().join("gone").exists());
    assert_eq!(fs::read(bench.host().join("emptied")).unwrap(), b"");
}

#[test]
fn partial_files_of_other_mount_options_are_refused_and_kept() {
    let bench = Bench::new();
    fs::write(bench.host().join("file"), "whole").unwrap();
    let (buffer, overlay) = cover(&bench.host(), &bench.place(), Mapping::IDENTITY, None).unwrap();
    drop(overlay);
    fs::write(buffer.upper().join("file"), "").unwrap();
    set_xattr(
        &buffer.upper().join("file"),
        "trusted.overlay.metacopy",
        b"",
    );
    let error = buffer.sync().unwrap_err().to_string();
    assert!(error.contains("cannot copy the partial"), "{error}");
    assert_eq!(fs::read(bench.host().join("file")).unwrap(), b"whole");
}

#[test]
fn label_of_a_security_module_stays_with_the_name() {
    let bench = Bench::new();
    fs::write(bench.host().join("file"), "old").unwrap();
    set_xattr(&bench.host().join("file"), "security.test", b"label");
    let (buffer, overlay) = cover(&bench.host(), &bench.place(), Mapping::IDENTITY, None).unwrap();
    bench.attach(overlay);
    fs::write(bench.view().join("file"), "new").unwrap();
    set_xattr(&bench.view().join("file"), "security.test", b"forged");
    bench.detach();
    assert!(buffer.sync().unwrap().first.is_empty());
    let label = (b"security.test".to_vec(), b"label".to_vec());
    assert_eq!(support::xattrs(&bench.host().join("file")), [label]);
}

/// A version 2 capability of a file (linux/capability.h): CAP_NET_RAW, permitted and effective.
const NET_RAW: [u8; 20] = [
    1, 0, 0, 2, 0, 0x20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
];

fn give_rights(path: &Path) {
    set_xattr(path, "security.capability", &NET_RAW);
    chmod(path, 0o6755);
}

/// Whether programs of a file have any right that who starts them lacks.
fn rights(path: &Path) -> (u32, bool) {
    let mode = fs::metadata(path).unwrap().mode() & 0o6000;
    let xattrs = support::xattrs(path);
    let capable = xattrs
        .iter()
        .any(|(name, _)| name == b"security.capability");
    (mode, capable)
}

#[test]
fn no_contents_get_set_user_id_bits_or_capabilities_that_the_host_has_not_given_them() {
    let bench = Bench::new();
    let names = ["mapped", "moved", "touched", "untouched", "plain", "owned"];
    for name in names {
        fs::write(bench.host().join(name), "program of the host").unwrap();
    }
    for name in names.iter().filter(|name| **name != "plain") {
        give_rights(&bench.host().join(name));
    }
    let (buffer, overlay) = cover(&bench.host(), &bench.place(), Mapping::IDENTITY, None).unwrap();
    bench.attach(overlay);
    let view = bench.view();
    // The kernel clears nothing of a file that is changed through memory.
    let script = "import mmap, sys\nf = open(sys.argv[1], 'r+b')\n\
        m = mmap.mmap(f.fileno(), 0)\nm[:7] = b'virus !'\nm.flush()";
    let mapped = std::process::Command::new("python3")
        .args(["-I", "-c", script])
        .arg(view.join("mapped"))
        .status()
        .unwrap();
    assert!(mapped.success());
    assert_eq!(rights(&view.join("mapped")), (0o6000, true));
    fs::rename(view.join("moved"), view.join("new name")).unwrap();
    fs::write(view.join("made"), "program of the app").unwrap();
    for name in ["made", "plain"] {
        give_rights(&view.join(name));
    }
    let touched = fs::File::open(view.join("touched")).unwrap();
    touched
        .set_modified(std::time::UNIX_EPOCH + std::time::Duration::from_secs(86_400))
        .unwrap();
    drop(touched);
    std::os::unix::fs::chown(view.join("owned"), Some(1000), None).unwrap();
    chmod(&view.join("owned"), 0o6755);
    bench.detach();
    assert!(buffer.sync().unwrap().first.is_empty());
    let host = bench.host();
    let changed = fs::read(host.join("mapped")).unwrap();
    assert_eq!(changed, b"virus ! of the host");
    for name in ["mapped", "new name", "made", "plain", "owned"] {
        assert_eq!(rights(&host.join(name)), (0, false), "{name}");
    }
    for name in ["touched", "untouched"] {
        assert_eq!(rights(&host.join(name)), (0o6000, true), "{name}");
    }
}

#[test]
fn what_the_host_cannot_hold_is_left_out_and_reported_and_the_rest_is_written() {
    let bench = Bench::new();
    let (buffer, overlay) = cover(&bench.host(), &bench.place(), Mapping::IDENTITY, None).unwrap();
    bench.attach(overlay);
    fs::create_dir_all(bench.view().join("d/".repeat(200))).unwrap();
    fs::write(bench.view().join("other"), "x").unwrap();
    let sparse = fs::File::create(bench.view().join("sparse")).unwrap();
    sparse.set_len(7 << 60).unwrap();
    drop(sparse);
    fs::write(bench.view().join("attributes"), "kept").unwrap();
    set_xattr(&bench.view().join("attributes"), "user.large", &[1; 60_000]);
    set_xattr(&bench.view().join("attributes"), "user.small", b"x");
    bench.detach();
    let left_out = buffer.sync().unwrap();
    let text = left_out.to_string();
    let found: Vec<_> = left_out
        .first
        .iter()
        .map(|failure| failure.action)
        .collect();
    assert_eq!(found.len(), 3, "{text}");
    for wanted in ["deeply nested", "host/sparse", "host/attributes"] {
        assert!(text.contains(wanted), "{text}");
    }
    assert!(bench.host().join("other").exists());
    assert!(bench.host().join("d/d/d").exists());
    assert!(!bench.host().join("sparse").exists());
    // The contents are there, and the attribute that fits.
    assert_eq!(fs::read(bench.host().join("attributes")).unwrap(), b"kept");
    let names: Vec<_> = support::xattrs(&bench.host().join("attributes"))
        .into_iter()
        .map(|(name, _)| name)
        .collect();
    assert_eq!(names, [b"user.small".to_vec()]);
    assert_eq!(
        fs::read_dir(bench.host()).unwrap().count(),
        3,
        "a temporary file is left"
    );
}

#[test]
fn size_of_the_tmpfs_limits_what_can_be_written() {
    let bench = Bench::with_size("1m");
    fs::write(bench.host().join("file"), "old").unwrap();
    let (buffer, overlay) = cover(&bench.host(), &bench.place(), Mapping::IDENTITY, None).unwrap();
    bench.attach(overlay);
    let full = fs::write(bench.view().join("big"), vec![1; 2 << 20]).unwrap_err();
    assert_eq!(full.kind(), std::io::ErrorKind::StorageFull);
    bench.detach();
    assert!(buffer.sync().unwrap().first.is_empty());
    assert_eq!(fs::read(bench.host().join("file")).unwrap(), b"old");
}
