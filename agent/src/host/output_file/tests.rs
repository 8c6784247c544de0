use super::*;
use rustix::fs::CWD;
use std::{
    fs,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink},
};

use tempfile::TempDir;

const ROOT: Credentials = Credentials {
    user: 0,
    groups: Vec::new(),
    process: None,
};

fn refused(path: &Path, writable: &WritableDirectories) -> String {
    let error = open(path, Some(&ROOT), writable).unwrap_err();
    crate::error_chain::Chain(&error).to_string()
}

#[test]
fn a_file_is_created_or_truncated() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("out");
    let writable = WritableDirectories::default();
    open(&path, Some(&ROOT), &writable).unwrap();
    assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o644);
    fs::write(&path, "old").unwrap();
    open(&path, Some(&ROOT), &writable).unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"");
}

#[test]
fn links_devices_and_directories_are_refused_and_left_alone() {
    let dir = TempDir::new().unwrap();
    let writable = WritableDirectories::default();
    let victim = dir.path().join("victim");
    fs::write(&victim, "precious").unwrap();
    let (soft, hard) = (dir.path().join("soft"), dir.path().join("hard"));
    symlink(&victim, &soft).unwrap();
    assert!(refused(&soft, &writable).contains("symbolic link"));
    fs::hard_link(&victim, &hard).unwrap();
    assert!(refused(&hard, &writable).contains("hard links"));
    assert_eq!(fs::read(&victim).unwrap(), b"precious");
    let neither = "neither a regular file nor a FIFO";
    for device in ["/dev/zero", "/dev/tty"] {
        assert!(refused(Path::new(device), &writable).contains(neither));
    }
    assert!(refused(dir.path(), &writable).contains(neither));
}

#[test]
fn nothing_is_written_to_the_kernel_and_the_null_device_may_be() {
    let writable = WritableDirectories::default();
    for path in ["/proc/sys/kernel/core_pattern", "/sys/kernel/x"] {
        let said = refused(Path::new(path), &writable);
        assert!(said.contains("of the kernel's"), "{said}");
    }
    open(Path::new("/dev/null"), Some(&ROOT), &writable).unwrap();
}

#[test]
fn a_link_on_the_way_counts_unless_an_app_may_have_made_it() {
    let dir = TempDir::new().unwrap();
    let writable = WritableDirectories::default();
    let (app, etc) = (dir.path().join("app"), dir.path().join("etc"));
    fs::create_dir(&app).unwrap();
    fs::create_dir(&etc).unwrap();
    symlink("../etc", app.join("logs")).unwrap();
    let path = app.join("logs/passwd");
    open(&path, Some(&ROOT), &writable).unwrap();
    assert!(etc.join("passwd").exists());
    fs::write(etc.join("passwd"), "precious").unwrap();
    writable.add(fs::File::open(&app).unwrap()).unwrap();
    assert!(refused(&path, &writable).contains("symbolic link"));
    assert_eq!(fs::read(etc.join("passwd")).unwrap(), b"precious");
}

#[test]
fn another_user_gets_only_files_of_their_own() {
    let dir = TempDir::new().unwrap();
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o1777)).unwrap();
    let writable = WritableDirectories::default();
    let caller = Credentials {
        user: 12345,
        groups: vec![12345],
        process: None,
    };
    let (own, roots) = (dir.path().join("own"), dir.path().join("roots"));
    open(&own, Some(&caller), &writable).unwrap();
    let metadata = fs::metadata(&own).unwrap();
    assert_eq!((metadata.uid(), metadata.gid()), (12345, 12345));
    fs::write(&roots, "precious").unwrap();
    let error = open(&roots, Some(&caller), &writable).unwrap_err();
    assert!(
        crate::error_chain::Chain(&error)
            .to_string()
            .contains("Permission denied"),
        "{error}"
    );
    assert_eq!(fs::read(&roots).unwrap(), b"precious");
    // This thread and the process still are root.
    assert!(rustix::process::geteuid().is_root());
    let error = open(&roots, None, &writable).unwrap_err();
    assert!(
        crate::error_chain::Chain(&error)
            .to_string()
            .contains("which user"),
        "{error}"
    );
}

#[test]
fn a_fifo_needs_a_reader() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("fifo");
    let writable = WritableDirectories::default();
    let made = rustix::fs::mknodat(CWD, &path, FileType::Fifo, Mode::from_raw_mode(0o600), 0);
    made.unwrap();
    assert!(refused(&path, &writable).contains("nobody reads"));
    let flags = OFlags::RDONLY | OFlags::NONBLOCK;
    let _reader = rustix::fs::openat(CWD, &path, flags, Mode::empty()).unwrap();
    open(&path, Some(&ROOT), &writable).unwrap();
}
