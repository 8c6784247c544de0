//! Mounts files and directories of the host in a running container.

use std::{
    io,
    os::fd::{AsFd as _, OwnedFd},
    path::Path,
};

use rustix::fs::FileType;

use super::{
    buffers::Buffers,
    error::BindError,
    followed::Submounts,
    host_source::{HostPaths, HostSource},
};
use crate::{
    error_chain::Chain,
    host::{
        app_user::AppUser,
        container_path::{self, Attached, Owner},
        mount::{DetachedMount, MountError},
        namespace::Namespaces,
        user_namespace,
        watch::HostWatch,
    },
};

/// Where POSIX shared memory is (shm_overview(7)), on the host and in a container. The container's
/// own can be covered by the host's.
const SHARED_MEMORY: &str = "/dev/shm";

/// A file or directory of the host that is mounted in a container.
#[derive(Debug)]
pub struct Bound {
    /// The mount.
    pub attached: Attached,
    /// Whether its owners are as the container's user namespace shows them.
    pub mapped: bool,
}

/// A running container, as far as mounts go.
#[derive(Debug, Clone, Copy)]
pub struct Mounts<'a> {
    /// The container's ID.
    pub id: i32,
    /// Its namespaces.
    pub namespaces: &'a Namespaces,
    /// The host IDs of its root.
    pub owner: Owner,
    /// The user that its apps are.
    pub user: AppUser,
    /// Its write buffers, if it has them.
    pub buffers: Option<&'a Buffers>,
    /// What decides on host paths.
    pub paths: &'a HostPaths,
    /// Its directories whose mounts are followed.
    pub submounts: &'a Submounts,
    /// Tells when something is mounted on the host.
    pub watch: &'a HostWatch,
}

impl Mounts<'_> {
    /// Mounts a file or directory of the host at an absolute path in the container, with owners as
    /// the container's user namespace shows them where the file system allows that. What is written
    /// to a directory goes to a buffer, if the container has one.
    ///
    /// # Errors
    /// [`BindError`] naming the host path or the container path.
    pub fn bind(
        &self,
        source: &HostSource,
        at: &Path,
        read_only: bool,
    ) -> Result<Bound, BindError> {
        let mut mount = DetachedMount::of_file(source.as_fd(), source.name())?;
        if read_only {
            mount.make_read_only()?;
        }
        let unmapped = self.map_owners(&mount, source).err();
        let mapped = unmapped.is_none();
        let has_contents = matches!(source.kind(), FileType::Directory | FileType::RegularFile);
        if let Some(error) = unmapped
            && !read_only
            && has_contents
            && !self.is_writable_unmapped(source)
        {
            if !source.is_listed(self.paths) {
                return Err(BindError::NotWritable {
                    host: source.name().to_owned(),
                    source: error.source,
                });
            }
            log::info!(
                "{} is mounted read-only: {}",
                source.name().display(),
                Chain(&error)
            );
            return self.bind(source, at, true);
        }
        let is_directory = mount.is_directory();
        let (attached, _) = self.place(source, mount, read_only, |mount| self.attach(mount, at))?;
        if is_directory {
            if let Err(error) = self.watch.follow_mounts() {
                log::warn!("cannot watch for mounts: {error}");
            }
            self.follow_mounts_in(source, &attached, read_only);
        }
        Ok(Bound { attached, mapped })
    }

    /// Attaches a mount of `source`, with a write buffer if it is to have one, whose number is
    /// returned.
    pub(super) fn place(
        &self,
        source: &HostSource,
        mount: DetachedMount,
        read_only: bool,
        attach: impl FnOnce(&DetachedMount) -> Result<Attached, BindError>,
    ) -> Result<(Attached, Option<u32>), BindError> {
        if read_only || !mount.is_directory() {
            return Ok((attach(&mount)?, None));
        }
        self.paths
            .writable
            .add(source.as_fd())
            .map_err(|e| MountError::new("examine", source.name(), e))?;
        let Some(buffers) = self.buffers.filter(|_| !is_shared_memory(source.name())) else {
            return Ok((attach(&mount)?, None));
        };
        let covered = buffers.cover(source, mount)?;
        match attach(&covered.mount) {
            Ok(attached) => Ok((attached, Some(buffers.keep(covered)))),
            Err(error) => {
                covered.discard();
                Err(error)
            }
        }
    }

    /// Shows files with the owners that they have for the container; where that cannot be, which is
    /// logged, they belong to nobody there, and only what others may do is allowed.
    pub(super) fn map_owners(
        &self,
        mount: &DetachedMount,
        source: &HostSource,
    ) -> Result<(), MountError> {
        let namespace = match self.namespaces.user() {
            Ok(Some(namespace)) => namespace,
            Ok(None) => return Ok(()),
            Err(error) => {
                let error = io::Error::other(error);
                return Err(MountError::new("map the owners of", source.name(), error));
            }
        };
        let mapped = match self.single_owner(source) {
            None => mount.map_owners(namespace.as_fd()),
            // Whoever mounts what is theirs gives no rights to what is not, though they can see it.
            Some((user, group)) => user_namespace::of_one((user, group), self.user.ids_on_host())
                .map_err(|e| MountError::new("map the owners of", source.name(), e))
                .and_then(|namespace| mount.map_owners(namespace.as_fd())),
        };
        if let Err(error) = &mapped {
            log::warn!(
                "container {}: {}; files there show no owner",
                self.id,
                Chain(error)
            );
        }
        mapped
    }

    /// Whether apps can write there though its owners cannot be mapped.
    fn is_writable_unmapped(&self, source: &HostSource) -> bool {
        let Ok(status) = rustix::fs::fstat(source.as_fd()) else {
            return false;
        };
        let is_own = self.user.is_of_host() && status.st_uid == self.user.on_host;
        is_own || source.is_open_to_all().unwrap_or(false)
    }

    /// The user and the group of the host whose files are the app's own there.
    fn single_owner(&self, source: &HostSource) -> Option<(u32, u32)> {
        // Only its owner may connect to many a socket, and only the container's root may do as if
        // it were.
        let of_socket = || {
            (!self.user.is_root() && source.kind() == FileType::Socket)
                .then(|| rustix::fs::fstat(source.as_fd()).ok())
                .flatten()
                .map(|status| (status.st_uid, status.st_gid))
        };
        source.owner().or_else(of_socket)
    }

    /// Attaches a mount at an absolute path in the container.
    ///
    /// # Errors
    /// [`BindError`] naming the container path.
    pub fn attach(&self, mount: &DetachedMount, at: &Path) -> Result<Attached, BindError> {
        let (owner, coverable) = (self.owner, [Path::new(SHARED_MEMORY)]);
        let attached = self
            .namespaces
            .inside_mounts(|inside| container_path::attach(inside, at, mount, owner, &coverable))?;
        Ok(attached?)
    }

    /// Takes a mount away again.
    ///
    /// # Errors
    /// [`BindError`] naming the container path.
    pub fn detach(&self, attached: &Attached) -> Result<(), BindError> {
        self.submounts.remove(attached);
        self.detach_one(attached).map(drop)
    }

    /// Checks that what an earlier agent has attached is there.
    ///
    /// # Errors
    /// [`BindError`] naming the container path.
    pub fn require(&self, attached: &Attached) -> Result<(), BindError> {
        self.namespaces
            .inside_mounts(|inside| container_path::require(inside, attached))??;
        Ok(())
    }

    /// Its root, unless it was gone.
    pub(super) fn detach_one(&self, attached: &Attached) -> Result<Option<OwnedFd>, BindError> {
        let owner = self.owner;
        let detached = self
            .namespaces
            .inside_mounts(|inside| container_path::detach(inside, attached, owner))?;
        Ok(detached?)
    }
}

/// POSIX shared memory (shm_overview(7)) is there to be shared: a buffer would make it private.
fn is_shared_memory(host: &Path) -> bool {
    host.starts_with(SHARED_MEMORY)
}
