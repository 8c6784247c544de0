//! A socket of the host that is shown in the container.
//!
//! A server that is restarted makes a new socket under the old name, and a mount goes on showing
//! the old one. So the mount is made anew when there is another socket: before each Execute, and as
//! soon as the directory tells of it ([`crate::host::watch`]).

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    contract,
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

#[derive(Debug, Serialize, Deserialize)]
struct Mounted {
    attached: Attached,
    socket: Identity,
    /// Where the socket is, if a right to it was given.
    accessed: Option<PathBuf>,
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
            self.grant(target, host);
        }
        watch(target, host);
        self.mounted = Some(Mounted {
            attached: bound.attached,
            socket,
            accessed: self.access.is_some().then(|| host.to_owned()),
        });
        Ok(())
    }

    fn grant(&mut self, target: &Target<'_>, host: &Path) {
        match SocketAccess::grant(host, target.user.on_host) {
            Ok(access) => self.access = Some(access),
            Err(error) => log::warn!(
                "container {}: cannot let its apps use {}: {error}; it can if everybody can",
                target.id,
                host.display()
            ),
        }
    }

    /// What the next agent has to know of it.
    pub(super) fn keep(&self) -> Option<Value> {
        serde_json::to_value(&self.mounted).ok()
    }

    /// Goes on with what an earlier agent has kept.
    pub(super) fn adopt(&mut self, target: &Target<'_>, kept: &Value) -> Result<(), Cause> {
        let mounted: Option<Mounted> = contract::read(kept)?;
        if let Some(mounted) = &mounted {
            target.mounts.require(&mounted.attached)?;
            // The right is there still, unless the socket is another one by now.
            if let Some(host) = &mounted.accessed
                && let Ok(source) = open(target, host)
                && source.identity().is_ok_and(|it| it == mounted.socket)
            {
                self.grant(target, host);
            }
        }
        self.mounted = mounted;
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
