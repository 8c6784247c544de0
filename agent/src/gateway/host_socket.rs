//! A socket of the host that is shown in the container.
//!
//! A server that is restarted makes a new socket under the old name, and a mount goes on showing
//! the old one. So the mount is made anew when there is another socket: before each Execute, and as
//! soon as the directory tells of it ([`crate::host::watch`]).

use std::path::Path;

use super::{
    error::Cause,
    server_socket::{GATEWAYS, into_cause, open, watch},
    target::Target,
};
use crate::{
    host::{container_path::Attached, socket_access::SocketAccess},
    mounts::host_source::Identity,
};

/// A socket of the host, as one container sees it.
#[derive(Debug, Default)]
pub struct HostSocket {
    mounted: Option<Mounted>,
    /// Where the mount cannot show the socket as the container's own.
    access: Option<SocketAccess>,
}

#[derive(Debug)]
struct Mounted {
    attached: Attached,
    socket: Identity,
}

impl HostSocket {
    /// Mounts the socket `host` as `name`, unless it is there already.
    pub(super) fn show(
        &mut self,
        target: &Target<'_>,
        host: &Path,
        name: &str,
    ) -> Result<(), Cause> {
        let source = open(target, host)?;
        let socket = source.identity().map_err(into_cause)?;
        if let Some(mounted) = self.mounted.take_if(|mounted| mounted.socket != socket) {
            self.access = None;
            target.mounts.detach(&mounted.attached)?;
        }
        if self.mounted.is_some() {
            return Ok(());
        }
        let bound = target
            .mounts
            .bind(&source, &Path::new(GATEWAYS).join(name), false)?;
        if !bound.mapped {
            match SocketAccess::grant(host, target.user.on_host) {
                Ok(access) => self.access = Some(access),
                Err(error) => log::warn!(
                    "container {}: cannot let its apps use {}: {error}; it can if everybody can",
                    target.id,
                    host.display()
                ),
            }
        }
        watch(target, host);
        self.mounted = Some(Mounted {
            attached: bound.attached,
            socket,
        });
        Ok(())
    }

    pub(super) fn hide(&mut self, target: &Target<'_>) -> Result<(), Cause> {
        self.access = None;
        match self.mounted.take() {
            Some(mounted) => Ok(target.mounts.detach(&mounted.attached)?),
            None => Ok(()),
        }
    }
}
