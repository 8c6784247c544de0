//! Opens paths inside a container, so that no symbolic link there leads out of it.

use std::{
    os::fd::{BorrowedFd, OwnedFd},
    path::Path,
};

use rustix::{
    fs::{CWD, Mode, OFlags, ResolveFlags},
    io::Result,
};

/// Opens `path` with `root` as the root directory (openat2(2), RESOLVE_IN_ROOT).
///
/// # Errors
/// The system's.
pub fn open_in_root(root: BorrowedFd<'_>, path: &Path, flags: OFlags) -> Result<OwnedFd> {
    let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
    rustix::fs::openat2(root, path, flags | OFlags::CLOEXEC, Mode::empty(), resolve)
}

/// Opens the root directory that [`open_in_root`] wants.
///
/// # Errors
/// The system's.
pub fn open_root(root: &Path) -> Result<OwnedFd> {
    rustix::fs::openat(
        CWD,
        root,
        OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC,
        Mode::empty(),
    )
}
