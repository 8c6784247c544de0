//! A file system of its own for the process: nothing but the sockets of the buses.
//!
//! Landlock does not ask about connecting to sockets (as of Linux 6.18), so what cannot be
//! connected to has to be out of sight.

use std::ffi::CStr;

use rustix::{
    fs::{CWD, Mode, OFlags},
    io::Errno,
    mount::{MountFlags, MountPropagationFlags, MoveMountFlags, OpenTreeFlags, UnmountFlags},
    thread::UnshareFlags,
};

use super::error::{SandboxError, step};
use crate::address::SocketAddress;

/// Addresses of the session and the system bus.
pub type Sockets = [Option<SocketAddress>; 2];

const NAMES: [&CStr; 2] = [c"session", c"system"];
const NEW_ROOT: &CStr = c"/tmp";

/// Makes the new root and moves into it. Sockets that do not exist are left out of it: connecting
/// to them fails, the agent is told, and starts the proxy anew when they have come into being.
pub(super) fn enter(sockets: &Sockets) -> Result<Sockets, SandboxError> {
    let mut trees = [None, None];
    for (tree, socket) in trees.iter_mut().zip(sockets) {
        if let Some(SocketAddress::Path(path)) = socket {
            let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
            *tree = match rustix::mount::open_tree(CWD, path, flags) {
                Ok(tree) => Some(tree),
                Err(Errno::NOENT | Errno::NOTDIR) => None,
                Err(error) => return step("open_tree of the bus's socket", Err(error)),
            };
        }
    }
    // SAFETY: the process has one thread, so no other one shares what is unshared; descriptors are
    // not.
    let unshared = unsafe { rustix::thread::unshare_unsafe(UnshareFlags::NEWNS) };
    step("mount namespace", unshared)?;
    let private = MountPropagationFlags::PRIVATE | MountPropagationFlags::REC;
    step("private mounts", rustix::mount::mount_change(c"/", private))?;
    let strict = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
    let options = c"size=64k,nr_inodes=8,mode=0555";
    step(
        "empty file system",
        rustix::mount::mount(c"tmpfs", NEW_ROOT, c"tmpfs", strict, options),
    )?;
    step(
        "chdir to the empty file system",
        rustix::process::chdir(NEW_ROOT),
    )?;

    let mut inside = sockets.clone();
    for ((tree, name), inside) in trees.iter().zip(NAMES).zip(&mut inside) {
        let Some(SocketAddress::Path(path)) = inside else {
            continue;
        };
        *path = std::path::Path::new("/").join(name.to_str().unwrap_or_default());
        let Some(tree) = tree else { continue };
        let create = OFlags::CREATE | OFlags::WRONLY | OFlags::CLOEXEC;
        step(
            "mount point of a bus",
            rustix::fs::open(name, create, Mode::RUSR).map(drop),
        )?;
        let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH;
        step(
            "mount of a bus",
            rustix::mount::move_mount(tree, c"", CWD, name, flags),
        )?;
    }
    let read_only = strict | MountFlags::BIND | MountFlags::RDONLY;
    step(
        "read-only root",
        rustix::mount::mount_remount(NEW_ROOT, read_only, c""),
    )?;
    // With both arguments the same, the old root lands on top of the new one and is taken off
    // there.
    step("pivot_root", rustix::process::pivot_root(c".", c"."))?;
    step(
        "old root",
        rustix::mount::unmount(c".", UnmountFlags::DETACH),
    )?;
    step("chdir to the root", rustix::process::chdir(c"/"))?;
    Ok(inside)
}
