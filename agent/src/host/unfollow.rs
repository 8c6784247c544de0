//! Makes room for a mount among the files that a container has from the host.
//!
//! Symbolic links in `/etc` lead to copies of the host's files at [`COPIES`], which are replaced
//! when the host's change. A mount on a copy would be gone then, and no mount point can be made
//! there. So a link is replaced before something is mounted on it. One that leads to a directory in
//! which something is mounted becomes a directory of links: what it holds is followed still, what
//! is added to it on the host is not.

use std::{
    ffi::OsStr,
    os::{
        fd::{AsFd as _, BorrowedFd},
        unix::ffi::OsStrExt as _,
    },
    path::{Component, Path, PathBuf},
};

use rustix::{
    fs::{AtFlags, Dir, Mode, OFlags, mkdirat, readlinkat, symlinkat, unlinkat},
    io::{Errno, Result},
};

use super::in_root::open_in_root;

/// Where containers see copies of the host's files.
pub const COPIES: &str = "/run/host/etc";

/// Replaces the links to copies on the way to `path`, and at `path` itself.
///
/// # Errors
/// The system's.
pub fn unfollow(root: BorrowedFd<'_>, path: &Path) -> Result<()> {
    let mut at = PathBuf::from("/");
    for component in path.components() {
        let Component::Normal(name) = component else {
            continue;
        };
        let directory = match open_in_root(root, &at, OFlags::PATH | OFlags::DIRECTORY) {
            // What is missing is made later.
            Err(Errno::NOENT | Errno::NOTDIR) => return Ok(()),
            directory => directory?,
        };
        at.push(name);
        let target = match readlinkat(&directory, name, Vec::new()) {
            Ok(target) => PathBuf::from(OsStr::from_bytes(target.as_bytes())),
            Err(Errno::INVAL) => continue,
            Err(Errno::NOENT) => return Ok(()),
            Err(errno) => return Err(errno),
        };
        if !target.starts_with(COPIES) {
            continue;
        }
        unlinkat(&directory, name, AtFlags::empty())?;
        if at != path {
            unfold(root, directory.as_fd(), name, &target)?;
        }
    }
    Ok(())
}

/// Makes `name` in `directory` a directory of links to what `target` holds.
fn unfold(
    root: BorrowedFd<'_>,
    directory: BorrowedFd<'_>,
    name: &OsStr,
    target: &Path,
) -> Result<()> {
    mkdirat(directory, name, Mode::from_raw_mode(0o755))?;
    let read = OFlags::RDONLY | OFlags::DIRECTORY;
    let own = open_in_root(directory, Path::new(name), read | OFlags::NOFOLLOW)?;
    let held = match open_in_root(root, target, read) {
        // The host has nothing there.
        Err(Errno::NOENT | Errno::NOTDIR) => return Ok(()),
        held => Dir::new(held?)?,
    };
    for entry in held {
        let entry = entry?;
        let name = entry.file_name();
        if ![c".", c".."].contains(&name) {
            symlinkat(target.join(OsStr::from_bytes(name.to_bytes())), &own, name)?;
        }
    }
    Ok(())
}
