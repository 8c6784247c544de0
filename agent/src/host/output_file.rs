//! The host file that a process in a container writes its output to.
//!
//! The agent is root, so the path is the caller's only as far as the caller itself could use it: it
//! is opened with the caller's user and groups. Apps may hold directories on its way, so symbolic
//! links on it count only where no app can have made them.

use std::{
    fmt, io,
    os::fd::OwnedFd,
    path::{Path, PathBuf},
    thread,
};

use rustix::{
    fs::{AtFlags, FileType, Gid, Mode, OFlags, Uid},
    thread::{set_thread_gid, set_thread_groups, set_thread_uid},
};

use super::walk::{self, WalkError, WritableDirectories};

/// A user of the host and their groups.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credentials {
    /// The user.
    pub user: u32,
    /// The groups, in no order: the bus does not tell which is the primary one.
    pub groups: Vec<u32>,
}

/// An output file that cannot be used.
#[derive(Debug)]
pub struct OutputFileError {
    path: PathBuf,
    reason: Reason,
}

#[derive(Debug)]
enum Reason {
    System(io::Error),
    NoReader,
    Kind,
    Link,
    Links,
    Caller,
    Thread(io::Error),
}

impl fmt::Display for OutputFileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot use output file {}: ", self.path.display())?;
        match &self.reason {
            Reason::System(error) => error.fmt(f),
            Reason::NoReader => f.write_str("it is a FIFO that nobody reads"),
            Reason::Kind => f.write_str("it is neither a regular file nor a FIFO"),
            Reason::Link => {
                f.write_str("it is a symbolic link, or one that an app may have made is on its way")
            }
            Reason::Links => f.write_str("it has other names, too (hard links)"),
            Reason::Caller => f.write_str("the bus does not tell which user asks for it"),
            Reason::Thread(error) => {
                write!(f, "no thread with the caller's rights can be made: {error}")
            }
        }
    }
}

impl std::error::Error for OutputFileError {}

/// Opens `path` for writing as `caller` may: a regular file, created with mode 0644 or truncated,
/// or a FIFO that has a reader.
///
/// The last component may not be a symbolic link, nor any other in a directory that apps can write
/// to; a regular file may have no second name; a device is refused without touching it.
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
    if caller.user == 0 {
        return open_here(path, writable).map_err(error);
    }
    // Linux has these per thread; a thread of its own, since no way leads back to root.
    thread::scope(|scope| {
        let thread = thread::Builder::new().name("output".to_owned());
        let opened = thread.spawn_scoped(scope, || {
            become_user(caller).map_err(|errno| Reason::Thread(errno.into()))?;
            open_here(path, writable)
        });
        match opened.map(thread::ScopedJoinHandle::join) {
            Ok(Ok(result)) => result,
            Ok(Err(_)) => Err(Reason::Thread(io::ErrorKind::Other.into())),
            Err(source) => Err(Reason::Thread(source)),
        }
    })
    .map_err(error)
}

fn become_user(caller: &Credentials) -> rustix::io::Result<()> {
    // A bus that tells no groups leaves the caller with those of nobody.
    const NO_GROUP: u32 = 65534;
    let groups: Vec<Gid> = caller.groups.iter().copied().map(Gid::from_raw).collect();
    set_thread_groups(&groups)?;
    // Most users' primary group has their own number.
    let own = caller.groups.iter().copied().find(|it| *it == caller.user);
    let primary = own.or(caller.groups.first().copied());
    set_thread_gid(Gid::from_raw(primary.unwrap_or(NO_GROUP)))?;
    // From root to another user, this takes every capability from the thread (capabilities(7)).
    set_thread_uid(Uid::from_raw(caller.user))
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
    // Some devices act on being opened, so it is looked at first; should it be swapped meanwhile,
    // the look afterwards still counts.
    match rustix::fs::statat(&parent, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) => check_kind(stat.st_mode)?,
        Err(rustix::io::Errno::NOENT) => {}
        Err(errno) => return Err(system(errno)),
    }
    let file = match rustix::fs::openat(&parent, name, flags, Mode::from_raw_mode(0o644)) {
        Err(rustix::io::Errno::NXIO) => return Err(Reason::NoReader),
        result => result.map_err(system)?,
    };
    let stat = rustix::fs::fstat(&file).map_err(system)?;
    check_kind(stat.st_mode)?;
    if FileType::from_raw_mode(stat.st_mode).is_file() {
        if stat.st_nlink > 1 {
            return Err(Reason::Links);
        }
        rustix::fs::ftruncate(&file, 0).map_err(system)?;
    }
    rustix::fs::fcntl_setfl(&file, OFlags::empty()).map_err(system)?;
    Ok(file)
}

fn check_kind(mode: u32) -> Result<(), Reason> {
    match FileType::from_raw_mode(mode) {
        FileType::RegularFile | FileType::Fifo => Ok(()),
        FileType::Symlink => Err(Reason::Link),
        _ => Err(Reason::Kind),
    }
}

#[cfg(test)]
mod tests;
