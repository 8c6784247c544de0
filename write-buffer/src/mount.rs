//! The overlay of a write buffer, as a mount that is attached nowhere yet.

use std::{
    os::fd::{BorrowedFd, OwnedFd},
    path::Path,
};

use rustix::{
    fs::CWD,
    mount::{
        FsMountFlags, FsOpenFlags, MountAttrFlags, MoveMountFlags, OpenTreeFlags, UnmountFlags,
    },
};

use crate::error::Failure;

/// The layers of an overlay, all on the host.
pub struct Layers<'a> {
    /// The path of the directory that is covered, for messages.
    pub host: &'a Path,
    /// An empty directory where its mount is attached for a moment.
    pub lower: &'a Path,
    /// Receives what is written.
    pub upper: &'a Path,
    /// An empty directory beside `upper`, for the kernel's use.
    pub work: &'a Path,
}

/// Mounts an overlay over `lower`, a detached mount of a directory; the result is detached, too,
/// for move_mount(2), and lives as long as it or where it was attached does.
pub fn overlay(lower: OwnedFd, layers: &Layers<'_>) -> Result<OwnedFd, Failure> {
    // Until Linux 6.15 layers must be attached mounts. The overlay has its own clone of the mount
    // when it is made, so this one can go at once.
    let attached = Attached::new(lower, layers.lower)?;
    let overlay = assemble(layers).map_err(|e| Failure::new("cover", layers.host, e))?;
    attached.detach()?;
    Ok(overlay)
}

/// A clone of the mount that `dir` lies on, rooted at `dir`, without mounts beneath it.
pub fn clone(dir: BorrowedFd<'_>) -> rustix::io::Result<OwnedFd> {
    let flags = OpenTreeFlags::OPEN_TREE_CLONE
        | OpenTreeFlags::OPEN_TREE_CLOEXEC
        | OpenTreeFlags::AT_EMPTY_PATH;
    rustix::mount::open_tree(dir, c"", flags)
}

fn assemble(layers: &Layers<'_>) -> rustix::io::Result<OwnedFd> {
    use rustix::mount::{fsconfig_create, fsconfig_set_string, fsmount, fsopen};
    let context = fsopen(c"overlay", FsOpenFlags::FSOPEN_CLOEXEC)?;
    fsconfig_set_string(&context, c"source", c"softwarecontainer")?;
    fsconfig_set_string(&context, c"lowerdir", &escape(layers.lower)[..])?;
    fsconfig_set_string(&context, c"upperdir", &escape(layers.upper)[..])?;
    fsconfig_set_string(&context, c"workdir", &escape(layers.work)[..])?;
    // Each of these would leave files in the upper layer that are no complete files.
    for (key, value) in [
        (c"redirect_dir", c"off"),
        (c"metacopy", c"off"),
        (c"index", c"off"),
    ] {
        match fsconfig_set_string(&context, key, value) {
            // A kernel without the feature has no such option, and the feature is off.
            Ok(()) | Err(rustix::io::Errno::INVAL) => {}
            Err(errno) => return Err(errno),
        }
    }
    fsconfig_create(&context)?;
    let attributes = MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_NODEV;
    fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, attributes)
}

/// Colons separate lower directories, so overlayfs has backslash escapes.
fn escape(path: &Path) -> Vec<u8> {
    use std::os::unix::ffi::OsStrExt;
    let mut escaped = Vec::new();
    for &byte in path.as_os_str().as_bytes() {
        if matches!(byte, b':' | b'\\' | b',') {
            escaped.push(b'\\');
        }
        escaped.push(byte);
    }
    escaped
}

/// A mount that is attached for as long as this lives.
struct Attached<'a> {
    at: Option<&'a Path>,
}

impl<'a> Attached<'a> {
    fn new(mount: OwnedFd, at: &'a Path) -> Result<Attached<'a>, Failure> {
        let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH;
        rustix::mount::move_mount(mount, c"", CWD, at, flags)
            .map_err(|errno| Failure::new("mount", at, errno))?;
        Ok(Attached { at: Some(at) })
    }

    fn detach(mut self) -> Result<(), Failure> {
        match self.at.take() {
            Some(at) => rustix::mount::unmount(at, UnmountFlags::DETACH)
                .map_err(|errno| Failure::new("unmount", at, errno)),
            None => Ok(()),
        }
    }
}

impl Drop for Attached<'_> {
    fn drop(&mut self) {
        if let Some(at) = self.at {
            // Only after another failure, which is the one to report.
            let _ = rustix::mount::unmount(at, UnmountFlags::DETACH);
        }
    }
}
