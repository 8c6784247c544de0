//! Mounts: detached copies of host trees, and file systems on the host.

use std::{
    fs, io,
    os::fd::{AsFd as _, BorrowedFd, OwnedFd},
    path::{Path, PathBuf},
};

use nix::mount::{MntFlags, MsFlags};
use rustix::{
    fs::{AtFlags, Mode, OFlags, StatxFlags},
    mount::OpenTreeFlags,
};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use self::restrict::{Flag, restricted};
use super::{mountinfo, sys};

mod restrict;

/// A failed mount operation: what was attempted, on what, and why.
#[derive(Debug, Error)]
#[error("cannot {action} {}", path.display())]
pub struct MountError {
    /// What was attempted, as a verb with its object.
    pub action: &'static str,
    /// The path it was attempted on.
    pub path: PathBuf,
    /// The system's reason.
    pub source: io::Error,
}

impl MountError {
    pub(crate) fn new(action: &'static str, path: &Path, source: impl Into<io::Error>) -> Self {
        Self {
            action,
            path: path.to_owned(),
            source: source.into(),
        }
    }
}

/// Which mount it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct MountId {
    /// Its number in mountinfo, which another one may have when it is gone.
    pub id: u64,
    /// A number that no other mount will ever have (Linux 6.8).
    unique: Option<u64>,
}

impl MountId {
    /// Of the mount that an open file belongs to (O_PATH is enough); see statx(2).
    ///
    /// # Errors
    /// From statx(2).
    pub fn of(file: BorrowedFd<'_>) -> rustix::io::Result<Self> {
        const UNIQUE: StatxFlags = StatxFlags::from_bits_retain(0x4000);
        let get = |wanted: StatxFlags| {
            let stat = rustix::fs::statx(file, c"", AtFlags::EMPTY_PATH, wanted)?;
            let told = StatxFlags::from_bits_retain(stat.stx_mask).contains(wanted);
            Ok(told.then_some(stat.stx_mnt_id))
        };
        Ok(Self {
            id: get(StatxFlags::MNT_ID)?.ok_or(rustix::io::Errno::NOSYS)?,
            unique: get(UNIQUE)?,
        })
    }
}

/// A copy of one mount that is attached nowhere yet (open_tree(2) with `OPEN_TREE_CLONE`).
#[derive(Debug)]
pub struct DetachedMount {
    tree: OwnedFd,
    source: PathBuf,
    directory: bool,
}

impl DetachedMount {
    /// Copies the mount of a file or directory of the host, without mounts below it. Set-user-ID
    /// bits do not count on the copy, and in a directory neither do device nodes.
    ///
    /// # Errors
    /// [`MountError`] with the path, also when it does not exist.
    pub fn of(path: &Path) -> Result<Self, MountError> {
        let file = rustix::fs::open(path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())
            .map_err(|errno| MountError::new("open", path, errno))?;
        Self::of_file(file.as_fd(), path)
    }

    /// As [`Self::of`], of an open file or directory (O_PATH is enough) that errors call `name`.
    ///
    /// # Errors
    /// [`MountError`] with `name`.
    pub fn of_file(file: BorrowedFd<'_>, name: &Path) -> Result<Self, MountError> {
        let flags = OpenTreeFlags::OPEN_TREE_CLONE
            | OpenTreeFlags::OPEN_TREE_CLOEXEC
            | OpenTreeFlags::AT_EMPTY_PATH;
        let error = |errno: rustix::io::Errno| MountError::new("open", name, errno);
        let tree = rustix::mount::open_tree(file, c"", flags).map_err(error)?;
        let stat = rustix::fs::fstat(&tree).map_err(error)?;
        let directory = rustix::fs::FileType::from_raw_mode(stat.st_mode).is_dir();
        let flags: &[_] = if directory {
            &[Flag::NoSetUserId, Flag::NoDevices]
        } else {
            &[Flag::NoSetUserId]
        };
        let tree = restricted(tree, flags, directory)
            .map_err(|e| MountError::new("restrict the mount of", name, e))?;
        Ok(Self {
            tree,
            source: name.to_owned(),
            directory,
        })
    }

    /// An overlay that covers the directory `source` of the host.
    pub fn of_overlay(tree: OwnedFd, source: &Path) -> Self {
        Self {
            tree,
            source: source.to_owned(),
            directory: true,
        }
    }

    /// Whether it is the mount of a directory.
    pub fn is_directory(&self) -> bool {
        self.directory
    }

    /// The mount's descriptor.
    pub fn as_fd(&self) -> BorrowedFd<'_> {
        self.tree.as_fd()
    }

    /// The mount's descriptor, its owner's from now on.
    pub fn into_fd(self) -> OwnedFd {
        self.tree
    }

    /// Makes it read-only.
    ///
    /// # Errors
    /// [`MountError`].
    pub fn make_read_only(&mut self) -> Result<(), MountError> {
        self.tree = self
            .tree
            .try_clone()
            .and_then(|tree| restricted(tree, &[Flag::ReadOnly], self.directory))
            .map_err(|e| MountError::new("make read-only the mount of", &self.source, e))?;
        Ok(())
    }

    /// Shows its files with the owners that `namespace` maps theirs to.
    ///
    /// # Errors
    /// [`MountError`]; EINVAL when the file system does not support it.
    pub fn map_owners(&self, namespace: BorrowedFd<'_>) -> Result<(), MountError> {
        sys::mount_setattr(self.tree.as_fd(), 0, Some(namespace))
            .map_err(|e| MountError::new("map the owners of", &self.source, e))
    }
}

/// Mounts a new file system of type `kind` on `target`.
///
/// # Errors
/// [`MountError`] with the target.
pub fn mount_new(
    kind: &str,
    target: &Path,
    flags: MsFlags,
    options: &str,
) -> Result<(), MountError> {
    nix::mount::mount(Some(kind), target, Some(kind), flags, Some(options))
        .map_err(|e| MountError::new("mount a file system on", target, e))?;
    // Without this a copy of the mount could stay in other mount namespaces and keep it busy.
    nix::mount::mount(
        None::<&str>,
        target,
        None::<&str>,
        MsFlags::MS_PRIVATE,
        None::<&str>,
    )
    .map_err(|e| MountError::new("make private the mount on", target, e))
}

/// Limits the number of files of the tmpfs that is mounted on `target`.
///
/// # Errors
/// [`MountError`] with the target.
pub fn limit_files(target: &Path, files: u64) -> Result<(), MountError> {
    use rustix::mount::{FsPickFlags, fsconfig_reconfigure, fsconfig_set_string, fspick};
    // Of the file system only: mount(2) would set the flags of the mount, too.
    let flags = FsPickFlags::FSPICK_CLOEXEC | FsPickFlags::FSPICK_SYMLINK_NOFOLLOW;
    fspick(rustix::fs::CWD, target, flags)
        .and_then(|picked| {
            fsconfig_set_string(&picked, "nr_inodes", files.to_string())?;
            fsconfig_reconfigure(&picked)
        })
        .map_err(|errno| MountError::new("limit the files of", target, errno))
}

/// Unmounts what is mounted on `target`; lazily if it is still in use.
///
/// # Errors
/// [`MountError`] with the target; a target that is no mount point is no error.
pub fn unmount(target: &Path) -> Result<(), MountError> {
    match nix::mount::umount2(target, MntFlags::UMOUNT_NOFOLLOW) {
        Ok(()) | Err(nix::Error::EINVAL | nix::Error::ENOENT) => Ok(()),
        Err(nix::Error::EBUSY) => {
            nix::mount::umount2(target, MntFlags::UMOUNT_NOFOLLOW | MntFlags::MNT_DETACH)
                .map_err(|e| MountError::new("unmount", target, e))
        }
        Err(e) => Err(MountError::new("unmount", target, e)),
    }
}

/// The mount points at and under `directories`, in the order in which they were mounted.
///
/// # Errors
/// [`MountError`] when the list of mounts cannot be read.
pub fn points_under(directories: &[impl AsRef<Path>]) -> Result<Vec<PathBuf>, MountError> {
    mountinfo::points_under(directories)
        .map_err(|error| MountError::new("read", Path::new(mountinfo::LIST), error))
}

/// Unmounts what is mounted below `directory`, but not what is mounted on it.
///
/// # Errors
/// [`MountError`] with the mount point.
pub fn unmount_below(directory: &Path) -> Result<(), MountError> {
    for point in points_under(&[directory])?.iter().rev() {
        if point != directory {
            unmount(point)?;
        }
    }
    Ok(())
}

/// Mounts on `target` what is mounted on `source`, privately.
///
/// # Errors
/// [`MountError`] with the target.
pub fn bind(source: &Path, target: &Path) -> Result<(), MountError> {
    let none = None::<&str>;
    nix::mount::mount(Some(source), target, none, MsFlags::MS_BIND, none)
        .map_err(|e| MountError::new("bind-mount on", target, e))?;
    nix::mount::mount(none, target, none, MsFlags::MS_PRIVATE, none)
        .map_err(|e| MountError::new("make private the mount on", target, e))
}

/// Unmounts everything at and under a directory and removes it.
///
/// # Errors
/// [`MountError`] naming what could not be removed; a directory that is gone is no error.
pub fn remove_with_mounts(directory: &Path) -> Result<(), MountError> {
    let mut mounts = points_under(&[directory])?;
    // The deepest and latest first.
    mounts.reverse();
    for mount in mounts {
        unmount(&mount)?;
    }
    match fs::remove_dir_all(directory) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => {
            Err(MountError::new("remove", directory, e))
        }
        _ => Ok(()),
    }
}
