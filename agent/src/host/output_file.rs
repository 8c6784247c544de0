//! The host file that a process in a container writes its output to.
//!
//! The agent is root, so the path is the caller's only as far as the caller itself could use it: it
//! is opened with the caller's user and groups. Apps may hold directories on its way, so symbolic
//! links on it count only where no app can have made them.

use std::{
    io,
    os::fd::OwnedFd,
    path::{Path, PathBuf},
};

use rustix::fs::{AtFlags, FileType, Mode, OFlags, Stat};
use thiserror::Error;

use super::{
    credentials::Credentials,
    kernel_files::is_kernels,
    walk::{self, WalkError},
    writable_directories::WritableDirectories,
};

/// null(4).
const NULL_DEVICE: u64 = libc::makedev(1, 3);

/// An output file that cannot be used.
#[derive(Debug, Error)]
#[error("cannot use output file {}", path.display())]
pub struct OutputFileError {
    path: PathBuf,
    #[source]
    reason: Reason,
}

#[derive(Debug, Error)]
enum Reason {
    #[error(transparent)]
    System(io::Error),
    #[error("it is a FIFO that nobody reads")]
    NoReader,
    #[error("it is neither a regular file nor a FIFO")]
    Kind,
    #[error("it is a file of the kernel's, as in /proc")]
    Kernels,
    #[error("it is a symbolic link, or one that an app may have made is on its way")]
    Link,
    #[error("it has other names, too (hard links)")]
    Links,
    #[error("the bus does not tell which user asks for it")]
    Caller,
    #[error("no thread with the caller's rights can be made")]
    Thread(#[source] io::Error),
}

/// Opens `path` for writing as `caller` may: a regular file, created with mode 0644 or truncated,
/// or a FIFO that has a reader; or null(4).
///
/// The last component may not be a symbolic link, nor any other in a directory that apps can write
/// to; a regular file may have no second name; another device, and what is the kernel's, is refused
/// without touching it.
///
/// # Errors
/// [`OutputFileError`] naming the path.
pub fn open(
    path: &Path,
    caller: Option<&Credentials>,
    writable: &WritableDirectories,
) -> Result<OwnedFd, OutputFileError> {
    let error = |reason| OutputFileError {
        path: path.to_owned(),
        reason,
    };
    let caller = caller.ok_or_else(|| error(Reason::Caller))?;
    let opened = caller.act(|| open_here(path, writable));
    opened
        .unwrap_or_else(|source| Err(Reason::Thread(source)))
        .map_err(error)
}

fn open_here(path: &Path, writable: &WritableDirectories) -> Result<OwnedFd, Reason> {
    let system = |errno: rustix::io::Errno| match errno {
        rustix::io::Errno::LOOP => Reason::Link,
        errno => Reason::System(errno.into()),
    };
    let name = path.file_name().ok_or(Reason::Kind)?;
    let parent = walk::open_parent(path, writable).map_err(|error| match error {
        WalkError::Link => Reason::Link,
        WalkError::System(source) => Reason::System(source),
    })?;
    // Without NONBLOCK a FIFO that nobody reads would hold up the caller.
    let flags = OFlags::WRONLY
        | OFlags::CREATE
        | OFlags::NOFOLLOW
        | OFlags::NOCTTY
        | OFlags::NONBLOCK
        | OFlags::CLOEXEC;
    if is_kernels(rustix::fs::fstatfs(&parent).map_err(system)?.f_type) {
        return Err(Reason::Kernels);
    }
    // Some devices act on being opened, so it is looked at first; should it be swapped meanwhile,
    // the look afterwards still counts.
    match rustix::fs::statat(&parent, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) => check_kind(&stat)?,
        Err(rustix::io::Errno::NOENT) => {}
        Err(errno) => return Err(system(errno)),
    }
    let file = match rustix::fs::openat(&parent, name, flags, Mode::from_raw_mode(0o644)) {
        Err(rustix::io::Errno::NXIO) => return Err(Reason::NoReader),
        result => result.map_err(system)?,
    };
    let stat = rustix::fs::fstat(&file).map_err(system)?;
    check_kind(&stat)?;
    if is_kernels(rustix::fs::fstatfs(&file).map_err(system)?.f_type) {
        return Err(Reason::Kernels);
    }
    if FileType::from_raw_mode(stat.st_mode).is_file() {
        if stat.st_nlink > 1 {
            return Err(Reason::Links);
        }
        rustix::fs::ftruncate(&file, 0).map_err(system)?;
    }
    rustix::fs::fcntl_setfl(&file, OFlags::empty()).map_err(system)?;
    Ok(file)
}

fn check_kind(stat: &Stat) -> Result<(), Reason> {
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile | FileType::Fifo => Ok(()),
        FileType::CharacterDevice if stat.st_rdev == NULL_DEVICE => Ok(()),
        FileType::Symlink => Err(Reason::Link),
        _ => Err(Reason::Kind),
    }
}

#[cfg(test)]
mod tests;
