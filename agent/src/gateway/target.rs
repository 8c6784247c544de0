//! What a gateway may use of a running container.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use softwarecontainer_lxc as lxc;
use softwarecontainer_network::Network;

use super::{error::Cause, watch::SocketWatch};
use crate::{
    config::Config,
    container::buffers::Buffers,
    host::{
        allowed_path::AllowedPath,
        cgroup::Home,
        container_path::{self, Owner},
        mount::DetachedMount,
        namespace::Namespaces,
        seccomp::Filters,
        walk::WritableDirectories,
    },
};

/// A running container, as a gateway sees it.
#[derive(Debug)]
pub struct Target<'a> {
    /// The container's ID.
    pub id: i32,
    /// Its LXC name.
    pub name: &'a str,
    /// The process ID of its init on the host.
    pub init: u32,
    /// Its namespaces.
    pub namespaces: &'a Namespaces,
    /// The host's side of `/gateways`.
    pub gateways: PathBuf,
    /// A host directory for device nodes, on a file system where they work.
    pub devices: PathBuf,
    /// The host IDs of its root.
    pub owner: Owner,
    /// Its write buffers, if it has them.
    pub buffers: Option<&'a Buffers>,
    /// Its LXC handle.
    pub lxc: &'a lxc::Container,
    /// The network of all containers.
    pub network: &'a Network,
    /// Tells when a server on the host has made its socket anew.
    pub sockets: &'a SocketWatch,
    /// The host directories that apps can write to.
    pub writable: &'a WritableDirectories,
    /// The host directories that the agent keeps for itself.
    pub own: &'a [PathBuf],
    /// The cgroups in which processes start that stay outside the container.
    pub home: &'a Arc<Home>,
    /// The filters on system calls of processes.
    pub filters: &'a Filters,
    /// The agent's configuration.
    pub config: &'a Config,
}

impl Target<'_> {
    /// Mounts a file or directory of the host at an absolute path in the container, with owners as
    /// the container's user namespace shows them where the file system allows that. What is written
    /// to a directory goes to a buffer, if the container has one.
    ///
    /// # Errors
    /// [`Cause`] naming the host path or the container path.
    pub fn bind_mount(&self, host: &Path, container: &Path, read_only: bool) -> Result<(), Cause> {
        self.mount_mapped(host, container, read_only).map(drop)
    }

    /// [`Self::bind_mount`]; the result is whether owners are as the container's user namespace
    /// shows them.
    ///
    /// # Errors
    /// As for [`Self::bind_mount`].
    pub fn mount_mapped(
        &self,
        host: &Path,
        container: &Path,
        read_only: bool,
    ) -> Result<bool, Cause> {
        let allowed = &self.config.allowed_host_paths;
        let checked = AllowedPath::check(host, allowed, self.writable)?;
        if !read_only {
            checked.check_writable(self.own)?;
        }
        let (mount, host) = (DetachedMount::at(&checked.stable(), host)?, checked.name());
        if !read_only && mount.is_directory() {
            self.writable.add(host);
        }
        if let Some(buffers) = self.buffers
            && !read_only
            && mount.is_directory()
            && !is_shared_memory(host)
        {
            let covered = buffers.cover(&checked, self.namespaces.user())?;
            let attached = self.attach(&covered.mount, container);
            if attached.is_ok() {
                buffers.keep(covered);
            } else {
                covered.discard();
            }
            return attached.map(|()| true);
        }
        if read_only {
            mount.make_read_only()?;
        }
        let mut mapped = true;
        if let Some(namespace) = self.namespaces.user()
            && let Err(error) = mount.map_owners(namespace)
        {
            // Documented: such files belong to nobody in the container, and only what others may do
            // is allowed.
            log::warn!("container {}: {error}; files there show no owner", self.id);
            mapped = false;
        }
        self.attach(&mount, container).map(|()| mapped)
    }

    /// Attaches a mount at an absolute path in the container.
    ///
    /// # Errors
    /// [`Cause`] naming the container path.
    pub fn attach(&self, mount: &DetachedMount, container: &Path) -> Result<(), Cause> {
        let owner = self.owner;
        self.namespaces
            .inside_mounts(|root| container_path::attach(root, container, mount, owner))??;
        Ok(())
    }

    /// Unmounts a path in the container.
    ///
    /// # Errors
    /// [`Cause`] naming the container path.
    pub fn unmount(&self, container: &Path) -> Result<(), Cause> {
        self.namespaces
            .inside_mounts(|root| container_path::detach(root, container))??;
        Ok(())
    }
}

/// POSIX shared memory (shm_overview(7)) is there to be shared: a buffer would make it private.
fn is_shared_memory(host: &Path) -> bool {
    host.starts_with("/dev/shm")
}
