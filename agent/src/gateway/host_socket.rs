//! A socket of the host in a container.
//!
//! A server that is restarted makes a new socket under the old name, and a mount goes on showing
//! the old one. So the mount is made anew when there is another socket: before each Execute, and as
//! soon as the directory tells of it ([`super::watch`]).

use std::{
    fs,
    os::unix::fs::{FileTypeExt as _, MetadataExt as _},
    path::{Path, PathBuf},
};

use super::{error::Cause, target::Target};
use crate::host::socket_access::SocketAccess;

/// Where the container sees what the gateways give it.
pub const GATEWAYS: &str = "/gateways";

/// What tells a socket from its successor under the same name: device, inode (which may be used
/// again), time of its making.
type Identity = (u64, u64, i64, i64);

/// A socket's mount in one container.
#[derive(Debug, Default)]
pub struct HostSocket {
    mounted: Option<(PathBuf, Identity)>,
    /// Where the mount cannot show the socket as the container's own.
    access: Option<SocketAccess>,
}

impl HostSocket {
    /// Mounts the socket `host` as `name` in `/gateways`, unless it is there already.
    ///
    /// # Errors
    /// [`Cause`] with the path: there is no such socket, or it cannot be mounted.
    pub fn show(&mut self, target: &Target<'_>, host: &Path, name: &str) -> Result<(), Cause> {
        let identity = identity(host)?;
        let inside = Path::new(GATEWAYS).join(name);
        if self.mounted.as_ref() == Some(&(inside.clone(), identity)) {
            return Ok(());
        }
        // /gateways is read-only in the container, so the mount point is made from outside.
        let point = target.gateways.join(name);
        fs::OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .open(&point)
            .map_err(|source| Cause::File {
                action: "make mount point",
                path: point,
                source,
            })?;
        if let Some((old, _)) = self.mounted.take() {
            self.access = None;
            target.mounts.unmount(&old)?;
        }
        if !target.mounts.bind_path(host, &inside, false)? {
            match SocketAccess::grant(host, target.owner.0) {
                Ok(access) => self.access = Some(access),
                Err(error) => log::warn!(
                    "container {}: cannot let its root use {}: {error}; it can if everybody can",
                    target.id,
                    host.display()
                ),
            }
        }
        if let Err(error) = target.sockets.add(host) {
            log::warn!(
                "cannot watch for successors of {}: {error}; a process that is started later still gets them",
                host.display()
            );
        }
        self.mounted = Some((inside, identity));
        Ok(())
    }

    /// Mounts the successor of the socket, if there is one. While there is none, for instance
    /// because its server restarts, the old one stays.
    ///
    /// # Errors
    /// [`Cause`] with the path.
    pub fn renew(&mut self, target: &Target<'_>, host: &Path, name: &str) -> Result<(), Cause> {
        if host.exists() {
            self.show(target, host, name)
        } else {
            Ok(())
        }
    }

    /// Takes the socket away.
    ///
    /// # Errors
    /// [`Cause`] with the path.
    pub fn hide(&mut self, target: &Target<'_>) -> Result<(), Cause> {
        self.access = None;
        match self.mounted.take() {
            Some((inside, _)) => Ok(target.mounts.unmount(&inside)?),
            None => Ok(()),
        }
    }
}

fn identity(host: &Path) -> Result<Identity, Cause> {
    let failed = |source| Cause::File {
        action: "find socket",
        path: host.to_owned(),
        source,
    };
    let metadata = fs::metadata(host).map_err(failed)?;
    if !metadata.file_type().is_socket() {
        return Err(Cause::Other(format!("{} is no socket", host.display())));
    }
    Ok((
        metadata.dev(),
        metadata.ino(),
        metadata.ctime(),
        metadata.ctime_nsec(),
    ))
}
