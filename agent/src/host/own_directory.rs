//! A directory of the host that one agent has for itself.
//!
//! At its start an agent writes to the host what containers of an earlier one had buffered there,
//! and removes the rest. So nobody but root may write to the directory, and no second agent may use
//! it.

use std::{
    fs,
    fs::File,
    io,
    os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

use nix::{
    errno::Errno,
    fcntl::{FcntlArg, fcntl},
};
use thiserror::Error;

/// The file in the directory that is locked while an agent uses it.
const LOCK: &str = ".softwarecontainer-agent.lock";
/// The bits of a mode with which others can write to a directory, and with which they can change
/// nothing there but their own files.
const GROUP_WRITES: u32 = 0o020;
const OTHERS_WRITE: u32 = 0o002;
const STICKY: u32 = 0o1000;
/// The bit with which others can go through a directory.
const OTHERS_PASS: u32 = 0o001;

/// Why an agent cannot have a directory.
#[derive(Debug, Error)]
#[error("cannot use {named} {}", path.display())]
pub struct OwnDirectoryError {
    named: String,
    path: PathBuf,
    #[source]
    reason: Reason,
}

#[derive(Debug, Error)]
enum Reason {
    #[error("cannot {0} it")]
    System(&'static str, #[source] io::Error),
    #[error("another agent, process {0}, uses it; each agent needs directories of its own")]
    Taken(i32),
    #[error("another agent uses it; each agent needs directories of its own")]
    TakenBySomebody,
    #[error(
        "{} belongs to user {user}, who could have the agent write anything to the host",
        path.display()
    )]
    Owner { path: PathBuf, user: u32 },
    #[error(
        "others than root can write to {} and could have the agent write anything to the host",
        .0.display()
    )]
    Writable(PathBuf),
    #[error(
        "users of containers cannot go through {}: `chmod o+x` lets them, and not see what is in it",
        .0.display()
    )]
    Closed(PathBuf),
}

/// A directory that no other agent uses for as long as this lives.
#[derive(Debug)]
pub struct OwnDirectory {
    named: String,
    path: PathBuf,
    _lock: File,
}

impl OwnDirectory {
    /// Makes the directory if it is not there, and takes it; `named` says what the
    /// configuration calls it, and where.
    ///
    /// # Errors
    /// [`OwnDirectoryError`].
    pub fn take(named: String, path: &Path) -> Result<Self, OwnDirectoryError> {
        let error = |reason| OwnDirectoryError {
            named: named.clone(),
            path: path.to_owned(),
            reason,
        };
        let system = |action| move |source| Reason::System(action, source);
        // Containers' roots must be reachable for their user IDs, but nobody needs to list them.
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o711)
            .create(path)
            .map_err(system("make"))
            .map_err(error)?;
        let real = fs::canonicalize(path)
            .map_err(system("find"))
            .map_err(error)?;
        for ancestor in real.ancestors() {
            let metadata = fs::symlink_metadata(ancestor)
                .map_err(system("examine"))
                .map_err(error)?;
            check_owner(ancestor, &metadata, ancestor == real).map_err(error)?;
        }
        let file = real.join(LOCK);
        let lock = loop {
            let lock = hold(&file).map_err(error)?;
            // Another agent may just have ended and removed the file.
            let same = |named: fs::Metadata| Ok(named.ino() == lock.metadata()?.ino());
            if fs::symlink_metadata(&file).and_then(same).unwrap_or(false) {
                break lock;
            }
        };
        Ok(Self {
            named,
            path: real,
            _lock: lock,
        })
    }

    /// Checks that users of containers, who are nobody on the host, can get to what is in it.
    ///
    /// # Errors
    /// [`OwnDirectoryError`] naming the directory that is in their way.
    pub fn check_passable(&self) -> Result<(), OwnDirectoryError> {
        for ancestor in self.path.ancestors() {
            let reason = match fs::metadata(ancestor) {
                Ok(metadata) if metadata.mode() & OTHERS_PASS != 0 => continue,
                Ok(_) => Reason::Closed(ancestor.to_owned()),
                Err(source) => Reason::System("examine", source),
            };
            return Err(OwnDirectoryError {
                named: self.named.clone(),
                path: self.path.clone(),
                reason,
            });
        }
        Ok(())
    }

    /// Its path without symbolic links.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

fn check_owner(path: &Path, metadata: &fs::Metadata, itself: bool) -> Result<(), Reason> {
    let (owner, mode) = (metadata.uid(), metadata.mode());
    if owner != 0 && owner != nix::unistd::geteuid().as_raw() {
        return Err(Reason::Owner {
            path: path.to_owned(),
            user: owner,
        });
    }
    let writable = mode & OTHERS_WRITE != 0 || mode & GROUP_WRITES != 0 && metadata.gid() != 0;
    // In a directory such as /tmp, others cannot rename what is not theirs.
    if writable && (itself || mode & STICKY == 0) {
        return Err(Reason::Writable(path.to_owned()));
    }
    Ok(())
}

impl Drop for OwnDirectory {
    fn drop(&mut self) {
        // Before it is unlocked, so that nobody locks what is about to be removed without noticing.
        let _ = fs::remove_file(self.path.join(LOCK));
    }
}

/// Locks a file for this process (fcntl_locking(2)). Unlike with other kinds of locks, the
/// processes that liblxc forks off do not hold it, so it ends with the agent. It must not be opened
/// once more: closing that would end it, too.
fn hold(path: &Path) -> Result<File, Reason> {
    let file = File::options()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        // Who can read it can lock it.
        .mode(0o600)
        .custom_flags(libc::O_NOFOLLOW)
        .open(path)
        .map_err(|error| Reason::System("lock", error))?;
    let mut wanted = whole_file();
    let system = |errno: Errno| Reason::System("lock", errno.into());
    match fcntl(&file, FcntlArg::F_SETLK(&wanted)) {
        Ok(_) => Ok(file),
        Err(Errno::EACCES | Errno::EAGAIN) => {
            fcntl(&file, FcntlArg::F_GETLK(&mut wanted)).map_err(system)?;
            // It may have gone in the meantime; who asks again then gets it.
            let is_held = wanted.l_type != unlocked();
            Err(if is_held {
                Reason::Taken(wanted.l_pid)
            } else {
                Reason::TakenBySomebody
            })
        }
        Err(errno) => Err(system(errno)),
    }
}

#[allow(
    clippy::unnecessary_cast,
    clippy::cast_possible_truncation,
    reason = "C libraries differ in the types of these small numbers"
)]
fn whole_file() -> libc::flock {
    libc::flock {
        l_type: libc::F_WRLCK as libc::c_short,
        l_whence: libc::SEEK_SET as libc::c_short,
        l_start: 0,
        l_len: 0,
        l_pid: 0,
    }
}

#[allow(
    clippy::unnecessary_cast,
    clippy::cast_possible_truncation,
    reason = "as above"
)]
fn unlocked() -> libc::c_short {
    libc::F_UNLCK as libc::c_short
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error_chain::Chain;
    use std::os::unix::fs::{PermissionsExt as _, chown, symlink};

    fn text(path: &Path) -> String {
        let error = OwnDirectory::take("shared-mounts-dir".to_owned(), path).unwrap_err();
        Chain(&error).to_string()
    }

    #[test]
    fn a_directory_that_others_can_change_is_not_taken() {
        let dir = tempfile::TempDir::new().unwrap();
        let path = |name: &str| dir.path().join(name);
        OwnDirectory::take("x".to_owned(), &path("new/deep")).unwrap();
        for (name, mode) in [("open", 0o1777), ("group", 0o770)] {
            fs::create_dir(path(name)).unwrap();
            chown(path(name), None, Some(9)).unwrap();
            fs::set_permissions(path(name), fs::Permissions::from_mode(mode)).unwrap();
            let error = text(&path(name));
            assert!(error.contains("others than root can write"), "{error}");
        }
        // A directory in one with the sticky bit is safe if it is root's.
        OwnDirectory::take("x".to_owned(), &path("open/mine")).unwrap();
        fs::set_permissions(path("open"), fs::Permissions::from_mode(0o777)).unwrap();
        assert!(text(&path("open/mine")).contains("others than root can write"));
        fs::create_dir(path("theirs")).unwrap();
        chown(path("theirs"), Some(4321), None).unwrap();
        symlink("theirs", path("link")).unwrap();
        for name in ["theirs", "theirs/new", "link"] {
            let error = text(&path(name));
            assert!(error.contains("belongs to user 4321"), "{name}: {error}");
            assert!(
                error.starts_with("cannot use shared-mounts-dir "),
                "{error}"
            );
        }
    }
}
