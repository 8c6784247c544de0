//! With real sockets on tmpfs, and clients of another user.
#![allow(clippy::unwrap_used)]

use std::{
    fs,
    os::unix::{
        fs::PermissionsExt as _,
        net::{UnixListener, UnixStream},
    },
    path::Path,
};

use nix::unistd::{Uid, setfsuid};

use super::*;

const GUEST: u32 = 524_288;
const STRANGER: u32 = 589_824;

/// Whether a user without privileges can connect.
fn connects(socket: &Path, user: u32) -> bool {
    let socket = socket.to_owned();
    // The file-system user ID belongs to the thread (setfsuid(2)); capabilities for files go with
    // root's.
    std::thread::spawn(move || {
        setfsuid(Uid::from_raw(user));
        match UnixStream::connect(socket) {
            Ok(_) => true,
            Err(error) => {
                assert_eq!(error.kind(), io::ErrorKind::PermissionDenied, "{error}");
                false
            }
        }
    })
    .join()
    .unwrap()
}

fn socket(mode: u32) -> (tempfile::TempDir, UnixListener, std::path::PathBuf) {
    // A tmpfs on every Linux system.
    let dir = tempfile::tempdir_in("/dev/shm").unwrap();
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let path = dir.path().join("socket");
    let listener = UnixListener::bind(&path).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
    (dir, listener, path)
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn one_user_is_let_in_as_long_as_the_value_lives() {
    let (_dir, _listener, path) = socket(0o755);
    assert!(!connects(&path, GUEST));
    let access = SocketAccess::grant(&path, GUEST).unwrap();
    assert!(connects(&path, GUEST));
    assert!(!connects(&path, STRANGER));
    drop(access);
    assert!(!connects(&path, GUEST));
    assert_eq!(mode(&path), 0o755, "the mode is what it was");
}

#[test]
fn two_users_do_not_disturb_each_other() {
    let (_dir, _listener, path) = socket(0o700);
    let first = SocketAccess::grant(&path, GUEST).unwrap();
    let second = SocketAccess::grant(&path, STRANGER).unwrap();
    drop(first);
    assert!(!connects(&path, GUEST));
    assert!(connects(&path, STRANGER));
    drop(second);
    assert_eq!(mode(&path), 0o700);
}

#[test]
fn the_socket_is_the_one_that_was_opened() {
    let (_dir, _listener, path) = socket(0o700);
    let access = SocketAccess::grant(&path, GUEST).unwrap();
    fs::remove_file(&path).unwrap();
    let _successor = UnixListener::bind(&path).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o750)).unwrap();
    drop(access);
    assert_eq!(mode(&path), 0o750);
}

#[test]
fn only_sockets_are_touched() {
    let (dir, _listener, _) = socket(0o700);
    let file = dir.path().join("file");
    fs::write(&file, "").unwrap();
    assert!(SocketAccess::grant(&file, GUEST).is_err());
}

#[test]
fn a_mask_that_held_others_back_still_does() {
    let entry = |tag, permissions, id| Entry {
        tag,
        permissions,
        id,
    };
    let before = vec![
        entry(tag::OWNER, 7, NO_ID),
        entry(tag::USER, 7, 1000),
        entry(tag::OWNING_GROUP, 7, NO_ID),
        entry(tag::MASK, 1, NO_ID),
        entry(tag::OTHERS, 0, NO_ID),
    ];
    let during = with_user(before, GUEST);
    assert_eq!(
        during,
        [
            entry(tag::OWNER, 7, NO_ID),
            entry(tag::USER, 1, 1000),
            entry(tag::USER, 6, GUEST),
            entry(tag::OWNING_GROUP, 1, NO_ID),
            entry(tag::MASK, 7, NO_ID),
            entry(tag::OTHERS, 0, NO_ID),
        ]
    );
}
