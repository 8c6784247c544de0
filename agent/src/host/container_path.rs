//! Paths inside a container, resolved so that nothing in the container can lead out of it.
//!
//! All functions run inside the container's mount namespace ([`super::namespace`]). Apps may swap
//! directories for symbolic links at any moment: each step therefore goes through a descriptor,
//! with openat2(2)'s RESOLVE_IN_ROOT.

use std::{
    ffi::OsStr,
    io,
    os::fd::{AsFd as _, BorrowedFd, OwnedFd},
    path::{Component, Path, PathBuf},
};

use rustix::{
    fs::{AtFlags, Mode, OFlags, StatxAttributes, StatxFlags},
    io::Errno,
    mount::{MoveMountFlags, UnmountFlags},
};
use thiserror::Error;

use super::{
    in_root::{open_in_root, open_root},
    mount::DetachedMount,
    unfollow::unfollow,
};

/// Who owns what the agent makes in a container: the host IDs of the container's root.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Owner(pub u32);

/// Why a path in a container could not be used.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ContainerPathError {
    /// It does not start with `/`, or has a `..` component.
    #[error("container path {:?} is not an absolute path without \"..\"", .0.display().to_string())]
    NotAbsolute(PathBuf),
    /// It already is a mount point.
    #[error("container path {} already is a mount point", .0.display())]
    MountPoint(PathBuf),
    /// A system call failed.
    #[error("cannot {action} container path {}", path.display())]
    System {
        /// What was attempted, as a verb.
        action: &'static str,
        /// The path.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

fn failed(action: &'static str, path: &Path) -> impl Fn(Errno) -> ContainerPathError {
    move |errno| ContainerPathError::System {
        action,
        path: path.to_owned(),
        source: errno.into(),
    }
}

/// Checks that a path can name something in a container, and removes `.` and doubled slashes.
///
/// # Errors
/// [`ContainerPathError::NotAbsolute`].
pub fn normalized(path: &Path) -> Result<PathBuf, ContainerPathError> {
    let mut result = PathBuf::new();
    for component in path.components() {
        match component {
            Component::ParentDir | Component::Prefix(_) => {
                return Err(ContainerPathError::NotAbsolute(path.to_owned()));
            }
            Component::CurDir => {}
            other => result.push(other),
        }
    }
    if !result.is_absolute() || result.parent().is_none() {
        return Err(ContainerPathError::NotAbsolute(path.to_owned()));
    }
    Ok(result)
}

/// Opens the directory that holds `path`, and makes those on the way that are missing.
fn open_parent(root: BorrowedFd<'_>, path: &Path) -> Result<OwnedFd, ContainerPathError> {
    let directory = OFlags::PATH | OFlags::DIRECTORY;
    let parent = path.parent().unwrap_or(Path::new("/"));
    match open_in_root(root, parent, directory) {
        Err(Errno::NOENT) => {}
        result => return result.map_err(failed("open", parent)),
    }
    let above = open_parent(root, parent)?;
    let name = parent.file_name().unwrap_or_default();
    make_directory(above.as_fd(), name).map_err(failed("make", parent))?;
    open_in_root(root, parent, directory).map_err(failed("open", parent))
}

fn make_directory(parent: BorrowedFd<'_>, name: &OsStr) -> rustix::io::Result<()> {
    let made = rustix::fs::mkdirat(parent, name, Mode::from_raw_mode(0o755));
    match made {
        Err(Errno::EXIST) => Ok(()),
        result => result,
    }
}

fn make_file(parent: BorrowedFd<'_>, name: &OsStr) -> rustix::io::Result<()> {
    let flags = OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::WRONLY | OFlags::CLOEXEC;
    let made = rustix::fs::openat(parent, name, flags, Mode::from_raw_mode(0o644));
    match made {
        Err(Errno::EXIST) => Ok(()),
        result => result.map(drop),
    }
}

fn is_mount_point(target: BorrowedFd<'_>) -> rustix::io::Result<bool> {
    let stat = rustix::fs::statx(target, c"", AtFlags::EMPTY_PATH, StatxFlags::empty())?;
    Ok(stat.stx_attributes.contains(StatxAttributes::MOUNT_ROOT))
}

/// Makes the calling thread, which must end soon, a file system user with the IDs of the
/// container's root.
///
/// File systems that belong to the container's user namespace, such as its `/dev`, and mounts with
/// mapped owners take no new files from IDs that are unknown there (EOVERFLOW), and the agent's own
/// are. What is made so belongs to the container's root from the start: to change the owner
/// afterwards, by name, would give it whatever an app had put there meanwhile.
fn act_as(owner: Owner) -> Result<(), ContainerPathError> {
    if owner.0 == 0 {
        return Ok(());
    }
    let error = failed("act as the owner of", Path::new("/"));
    let sets = rustix::thread::capabilities(None).map_err(&error)?;
    nix::unistd::setfsgid(nix::unistd::Gid::from_raw(owner.0));
    nix::unistd::setfsuid(nix::unistd::Uid::from_raw(owner.0));
    // The change of the user has taken the capabilities that have to do with files.
    rustix::thread::set_capabilities(None, sets).map_err(error)
}

/// Attaches a mount at `path` (move_mount(2)); makes the mount point and missing directories above
/// it.
///
/// # Errors
/// [`ContainerPathError`], also when the path already is a mount point.
pub fn attach(
    root: &Path,
    path: &Path,
    mount: &DetachedMount,
    owner: Owner,
) -> Result<(), ContainerPathError> {
    let path = &normalized(path)?;
    act_as(owner)?;
    let root = open_root(root).map_err(failed("open", Path::new("/")))?;
    unfollow(root.as_fd(), path).map_err(failed("make room at", path))?;
    let target = match open_in_root(root.as_fd(), path, OFlags::PATH) {
        Ok(target) => target,
        Err(Errno::NOENT) => {
            let parent = open_parent(root.as_fd(), path)?;
            let name = path.file_name().unwrap_or_default();
            if mount.is_directory() {
                make_directory(parent.as_fd(), name)
            } else {
                make_file(parent.as_fd(), name)
            }
            .map_err(failed("make", path))?;
            open_in_root(root.as_fd(), path, OFlags::PATH).map_err(failed("open", path))?
        }
        Err(errno) => return Err(failed("open", path)(errno)),
    };
    if is_mount_point(target.as_fd()).map_err(failed("examine", path))? {
        return Err(ContainerPathError::MountPoint(path.clone()));
    }
    let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
    rustix::mount::move_mount(mount.as_fd(), c"", target.as_fd(), c"", flags)
        .map_err(failed("mount on", path))
}

/// Detaches what is mounted at `path`.
///
/// # Errors
/// [`ContainerPathError`]; a path that is gone or no mount point any more is no error.
pub fn detach(root: &Path, path: &Path) -> Result<(), ContainerPathError> {
    let path = &normalized(path)?;
    let root = open_root(root).map_err(failed("open", Path::new("/")))?;
    let parent = path.parent().unwrap_or(Path::new("/"));
    let parent = match open_in_root(root.as_fd(), parent, OFlags::PATH | OFlags::DIRECTORY) {
        Err(Errno::NOENT) => return Ok(()),
        result => result.map_err(failed("open", parent))?,
    };
    // umount2(2) takes no descriptor, so the thread, whose working directory is its own, goes
    // there.
    rustix::process::fchdir(&parent).map_err(failed("enter the directory of", path))?;
    let name = path.file_name().unwrap_or_default();
    match rustix::mount::unmount(name, UnmountFlags::NOFOLLOW | UnmountFlags::DETACH) {
        Ok(()) | Err(Errno::INVAL | Errno::NOENT) => Ok(()),
        Err(errno) => Err(failed("unmount", path)(errno)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_container_path_is_absolute_and_without_parent_components() {
        assert_eq!(
            normalized(Path::new("/a//b/./c/")).unwrap(),
            Path::new("/a/b/c")
        );
        for path in ["", "a", "./a", "/", "/a/../b", "..", "//"] {
            assert!(normalized(Path::new(path)).is_err(), "{path:?}");
        }
    }
}
