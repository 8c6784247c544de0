//! Flags of a detached mount, also on kernels that change only those of attached ones.

use std::{
    io,
    os::fd::{AsFd as _, OwnedFd},
};

use nix::{
    mount::{MsFlags, mount},
    sched::{CloneFlags, unshare},
};
use rustix::{
    fs::{CWD, StatVfsMountFlags},
    mount::{MoveMountFlags, OpenTreeFlags, move_mount, open_tree},
};
use softwarecontainer_network::thread::{self, ThreadError};

use crate::host::sys;

/// What an app's mount may be kept from.
#[derive(Debug, Clone, Copy)]
pub(super) enum Flag {
    NoDevices,
    NoSetUserId,
    ReadOnly,
}

impl Flag {
    fn attribute(self) -> u64 {
        match self {
            Self::NoDevices => libc::MOUNT_ATTR_NODEV,
            Self::NoSetUserId => libc::MOUNT_ATTR_NOSUID,
            Self::ReadOnly => libc::MOUNT_ATTR_RDONLY,
        }
    }

    fn of_mount(self) -> MsFlags {
        match self {
            Self::NoDevices => MsFlags::MS_NODEV,
            Self::NoSetUserId => MsFlags::MS_NOSUID,
            Self::ReadOnly => MsFlags::MS_RDONLY,
        }
    }
}

/// Adds flags to the private, detached mount `tree`; returns the mount that has them.
///
/// # Errors
/// The system's.
pub(super) fn restricted(tree: OwnedFd, flags: &[Flag], directory: bool) -> io::Result<OwnedFd> {
    let attributes = flags.iter().fold(0, |all, flag| all | flag.attribute());
    match sys::mount_setattr(tree.as_fd(), attributes, None) {
        Ok(()) => Ok(tree),
        Err(error) if error.raw_os_error() == Some(libc::ENOSYS) => {
            let flags = flags.iter().map(|flag| flag.of_mount()).collect();
            thread::in_own::<_, ThreadError, _>("mount", || Ok(copied(tree, flags, directory)))
                .map_err(io::Error::other)?
        }
        Err(error) => Err(error),
    }
}

/// Before Linux 5.12: the mount is attached in a mount namespace that only this thread has, gets
/// its flags there, and is copied again.
fn copied(tree: OwnedFd, flags: MsFlags, directory: bool) -> io::Result<OwnedFd> {
    // A directory and a file that are everywhere.
    let place = if directory { "/proc" } else { "/dev/null" };
    let none = None::<&str>;
    unshare(CloneFlags::CLONE_NEWNS)?;
    mount(none, "/", none, MsFlags::MS_PRIVATE | MsFlags::MS_REC, none)?;
    let detached = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH;
    move_mount(tree.as_fd(), c"", CWD, place, detached)?;
    mount(none, place, none, MsFlags::MS_PRIVATE, none)?;
    // What is not named is switched off.
    let all = MsFlags::MS_REMOUNT | MsFlags::MS_BIND | flags | flags_of(place)?;
    mount(none, place, none, all, none)?;
    let copy = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    Ok(open_tree(CWD, place, copy)?)
}

/// The flags that the mount on `place` has.
fn flags_of(place: &str) -> io::Result<MsFlags> {
    let has = rustix::fs::statvfs(place)?.f_flag;
    let same = [
        (StatVfsMountFlags::RDONLY, MsFlags::MS_RDONLY),
        (StatVfsMountFlags::NOSUID, MsFlags::MS_NOSUID),
        (StatVfsMountFlags::NODEV, MsFlags::MS_NODEV),
        (StatVfsMountFlags::NOEXEC, MsFlags::MS_NOEXEC),
        (StatVfsMountFlags::NOATIME, MsFlags::MS_NOATIME),
        (StatVfsMountFlags::NODIRATIME, MsFlags::MS_NODIRATIME),
        (StatVfsMountFlags::RELATIME, MsFlags::MS_RELATIME),
    ];
    Ok(same
        .into_iter()
        .filter(|&(flag, _)| has.contains(flag))
        .map(|(_, flag)| flag)
        .collect())
}
