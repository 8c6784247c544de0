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
    fs::{AtFlags, FileType, Mode, OFlags, ResolveFlags, StatxAttributes, StatxFlags},
    io::Errno,
    mount::{MoveMountFlags, OpenTreeFlags},
};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::{
    in_root::{open_in_root, open_root},
    mount::{DetachedMount, MountId},
    mountinfo,
    namespace::Inside,
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

/// A directory in the container, open, and its path.
struct Directory {
    fd: OwnedFd,
    path: PathBuf,
}

/// Opens the directory that holds `path`, and makes those on the way that are missing.
fn open_parent(
    root: BorrowedFd<'_>,
    path: &Path,
    made: &mut Vec<PathBuf>,
) -> Result<Directory, ContainerPathError> {
    let directory = OFlags::PATH | OFlags::DIRECTORY;
    let parent = path.parent().unwrap_or(Path::new("/"));
    let open = || {
        open_in_root(root, parent, directory).map(|fd| Directory {
            fd,
            path: parent.to_owned(),
        })
    };
    match open() {
        Err(Errno::NOENT) => {}
        result => return result.map_err(failed("open", parent)),
    }
    let above = open_parent(root, parent, made)?;
    let name = parent.file_name().unwrap_or_default();
    if make_directory(above.fd.as_fd(), name).map_err(failed("make", parent))? {
        made.push(above.path.join(name));
    }
    open().map_err(failed("open", parent))
}

/// Whether it was not there before.
fn make_directory(parent: BorrowedFd<'_>, name: &OsStr) -> rustix::io::Result<bool> {
    match rustix::fs::mkdirat(parent, name, Mode::from_raw_mode(0o755)) {
        Err(Errno::EXIST) => Ok(false),
        result => result.map(|()| true),
    }
}

/// Whether it was not there before.
fn make_file(parent: BorrowedFd<'_>, name: &OsStr) -> rustix::io::Result<bool> {
    let flags = OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::WRONLY | OFlags::CLOEXEC;
    match rustix::fs::openat(parent, name, flags, Mode::from_raw_mode(0o644)) {
        Err(Errno::EXIST) => Ok(false),
        result => result.map(|_| true),
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

/// What was attached in a container, as far as is needed to undo just that.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attached {
    mount: MountId,
    path: PathBuf,
    /// The mount point and directories above it that were made for it.
    made: Vec<PathBuf>,
}

impl Attached {
    /// Where it was attached.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// Attaches a mount at `path` (move_mount(2)); makes the mount point and missing directories above
/// it. What is a mount point already is refused, unless it is in `coverable` and nothing was
/// attached there yet. If it fails, nothing is left behind.
///
/// # Errors
/// [`ContainerPathError`], also when the path already is a mount point.
pub fn attach(
    inside: &Inside,
    path: &Path,
    mount: &DetachedMount,
    owner: Owner,
    coverable: &[&Path],
) -> Result<Attached, ContainerPathError> {
    let path = &normalized(path)?;
    act_as(owner)?;
    let root = open_root(inside.root()).map_err(failed("open", Path::new("/")))?;
    unfollow(root.as_fd(), path).map_err(failed("make room at", path))?;
    let mut made = Vec::new();
    let attached = attach_at(inside, root.as_fd(), path, mount, coverable, &mut made);
    match attached {
        Ok(id) => Ok(Attached {
            mount: id,
            path: path.clone(),
            made,
        }),
        Err(error) => {
            remove_made(root.as_fd(), &made);
            Err(error)
        }
    }
}

fn attach_at(
    inside: &Inside,
    root: BorrowedFd<'_>,
    path: &Path,
    mount: &DetachedMount,
    coverable: &[&Path],
    made: &mut Vec<PathBuf>,
) -> Result<MountId, ContainerPathError> {
    let target = match open_in_root(root, path, OFlags::PATH) {
        Ok(target) => target,
        Err(Errno::NOENT) => {
            let parent = open_parent(root, path, made)?;
            let name = path.file_name().unwrap_or_default();
            let new = if mount.is_directory() {
                make_directory(parent.fd.as_fd(), name)
            } else {
                make_file(parent.fd.as_fd(), name)
            };
            if new.map_err(failed("make", path))? {
                made.push(parent.path.join(name));
            }
            open_in_root(root, path, OFlags::PATH).map_err(failed("open", path))?
        }
        Err(errno) => return Err(failed("open", path)(errno)),
    };
    if is_mount_point(target.as_fd()).map_err(failed("examine", path))? {
        let list = inside.mountinfo().unwrap_or_default();
        if !coverable.contains(&path) || mountinfo::count_at(&list, path) != 1 {
            return Err(ContainerPathError::MountPoint(path.to_owned()));
        }
    }
    let id = MountId::of(mount.as_fd()).map_err(failed("examine the mount for", path))?;
    let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
    rustix::mount::move_mount(mount.as_fd(), c"", target.as_fd(), c"", flags)
        .map_err(failed("mount on", path))?;
    Ok(id)
}

/// Attaches a mount in what is attached as `top`, at a path in it, which is resolved without
/// leaving it and through no symbolic link.
///
/// # Errors
/// [`ContainerPathError`].
pub fn attach_below(
    inside: &Inside,
    top: &Attached,
    path: &Path,
    mount: &DetachedMount,
) -> Result<Attached, ContainerPathError> {
    let target = open_below(inside, top, path)?;
    move_below(top, path, mount.as_fd(), &target)
}

/// Mounts what is at a path in what is attached as `top` on itself. As long as it is a mount point
/// in the container, apps can neither remove nor rename it, and with that take away what the host
/// has mounted there (rename(2), EBUSY).
///
/// # Errors
/// [`ContainerPathError`].
pub fn pin_below(
    inside: &Inside,
    top: &Attached,
    path: &Path,
) -> Result<Attached, ContainerPathError> {
    let target = open_below(inside, top, path)?;
    let flags = OpenTreeFlags::OPEN_TREE_CLONE
        | OpenTreeFlags::OPEN_TREE_CLOEXEC
        | OpenTreeFlags::AT_EMPTY_PATH;
    let itself = rustix::mount::open_tree(&target, c"", flags);
    let itself = itself.map_err(failed("open", &top.path.join(path)))?;
    move_below(top, path, itself.as_fd(), &target)
}

fn open_below(inside: &Inside, top: &Attached, path: &Path) -> Result<OwnedFd, ContainerPathError> {
    let root = open_root(inside.root()).map_err(failed("open", Path::new("/")))?;
    let list = inside.mountinfo().unwrap_or_default();
    let point = mountinfo::point_of(&list, top.mount.id);
    let point = point.ok_or_else(|| failed("find", &top.path)(Errno::NOENT))?;
    let directory = open_in_root(root.as_fd(), &point, OFlags::PATH | OFlags::NOFOLLOW)
        .map_err(failed("open", &top.path))?;
    if MountId::of(directory.as_fd()).ok() != Some(top.mount) {
        return Err(failed("find", &top.path)(Errno::STALE));
    }
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    let flags = OFlags::PATH | OFlags::CLOEXEC;
    rustix::fs::openat2(&directory, path, flags, Mode::empty(), resolve)
        .map_err(failed("open", &top.path.join(path)))
}

fn move_below(
    top: &Attached,
    path: &Path,
    mount: BorrowedFd<'_>,
    target: &OwnedFd,
) -> Result<Attached, ContainerPathError> {
    let path = top.path.join(path);
    let id = MountId::of(mount).map_err(failed("examine the mount for", &path))?;
    let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
    rustix::mount::move_mount(mount, c"", target, c"", flags).map_err(failed("mount on", &path))?;
    Ok(Attached {
        mount: id,
        path,
        made: Vec::new(),
    })
}

/// Detaches what [`attach`] has attached, wherever an app may have moved it by now, and removes
/// what was made for it as far as it is still there and empty. Returns the root of what was
/// detached (O_PATH), which is there as long as it is used; `None` if it was gone.
///
/// # Errors
/// [`ContainerPathError`]; a mount that is gone is no error.
pub fn detach(
    inside: &Inside,
    attached: &Attached,
    owner: Owner,
) -> Result<Option<OwnedFd>, ContainerPathError> {
    /// An app that renames directories all the time may make the mount hard to find.
    const ATTEMPTS: usize = 100;
    let path = &attached.path;
    act_as(owner)?;
    let root = open_root(inside.root()).map_err(failed("open", Path::new("/")))?;
    for _ in 0..ATTEMPTS {
        let list = inside
            .mountinfo()
            .map_err(|source| ContainerPathError::System {
                action: "list the mounts to unmount",
                path: path.clone(),
                source,
            })?;
        let Some(point) = mountinfo::point_of(&list, attached.mount.id) else {
            remove_made(root.as_fd(), &attached.made);
            return Ok(None);
        };
        let Ok(found) = open_in_root(root.as_fd(), &point, OFlags::PATH | OFlags::NOFOLLOW) else {
            continue;
        };
        match MountId::of(found.as_fd()) {
            Ok(id) if id == attached.mount => {}
            // The number of one that is gone was used again.
            Ok(id) if id.id == attached.mount.id => return Ok(None),
            _ => continue,
        }
        inside
            .unmount(found.as_fd())
            .map_err(failed("unmount", path))?;
        remove_made(root.as_fd(), &attached.made);
        return Ok(Some(found));
    }
    Err(failed("find what to unmount of", path)(Errno::BUSY))
}

/// Checks that a mount is still in the container, wherever an app may have moved it.
///
/// # Errors
/// [`ContainerPathError`].
pub fn require(inside: &Inside, attached: &Attached) -> Result<(), ContainerPathError> {
    let list = inside.mountinfo().unwrap_or_default();
    match mountinfo::point_of(&list, attached.mount.id) {
        Some(_) => Ok(()),
        None => Err(failed("find", &attached.path)(Errno::NOENT)),
    }
}

/// Removes empty files and directories that were made for a mount, the last one first. An app may
/// have put something there since, which stays.
fn remove_made(root: BorrowedFd<'_>, made: &[PathBuf]) {
    for path in made.iter().rev() {
        let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
            continue;
        };
        let Ok(parent) = open_in_root(root, parent, OFlags::PATH | OFlags::DIRECTORY) else {
            continue;
        };
        let Ok(stat) = rustix::fs::statat(&parent, name, AtFlags::SYMLINK_NOFOLLOW) else {
            continue;
        };
        let removed = match FileType::from_raw_mode(stat.st_mode) {
            FileType::Directory => rustix::fs::unlinkat(&parent, name, AtFlags::REMOVEDIR),
            FileType::RegularFile if stat.st_size == 0 => {
                rustix::fs::unlinkat(&parent, name, AtFlags::empty())
            }
            _ => Ok(()),
        };
        if let Err(errno) = removed {
            log::debug!("{} stays in a container: {errno}", path.display());
        }
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
