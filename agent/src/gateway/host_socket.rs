//! A gateway that shows a socket of the host in the container.
//!
//! A server that is restarted makes a new socket under the old name, and a mount goes on showing
//! the old one. So the mount is made anew when there is another socket: before each Execute, and as
//! soon as the directory tells of it ([`crate::host::watch`]).

use std::{
    marker::PhantomData,
    path::{Path, PathBuf},
};

use softwarecontainer_capability::Settings;

use super::{
    config::GatewaysConfig,
    contract::{Gateway, ProcessGrants},
    error::{Cause, GatewayError},
    server_socket::{GATEWAYS, into_cause, open, watch},
    target::Target,
};
use crate::{
    host::{container_path::Attached, socket_access::SocketAccess},
    mounts::host_source::Identity,
};

/// A socket of the host that a gateway is about.
pub trait Server: Default + Send {
    /// What all capabilities together ask of the gateway.
    type Settings: Settings;

    /// Whether they ask for the socket.
    fn is_wanted(settings: &Self::Settings) -> bool;

    /// Where the socket is on the host, and its name in [`GATEWAYS`].
    ///
    /// # Errors
    /// [`Cause`]: nothing says where it is.
    fn find(config: &GatewaysConfig) -> Result<(PathBuf, String), Cause>;

    /// The variables that lead an app to the socket `name` in [`GATEWAYS`].
    fn environment(name: &str) -> Vec<(String, String)>;
}

/// The gateway of one container to a server.
#[derive(Debug, Default)]
pub struct HostSocket<S> {
    mounted: Option<Mounted>,
    /// Where the mount cannot show the socket as the container's own.
    access: Option<SocketAccess>,
    server: PhantomData<S>,
}

#[derive(Debug)]
struct Mounted {
    attached: Attached,
    socket: Identity,
}

impl<S: Server> Gateway for HostSocket<S> {
    type Settings = S::Settings;

    fn change(
        &mut self,
        target: &Target<'_>,
        from: &S::Settings,
        to: &S::Settings,
    ) -> Result<(), GatewayError> {
        let changed = match (S::is_wanted(from), S::is_wanted(to)) {
            // The server may be restarting just now.
            (true, true) => self.follow(target),
            (false, true) => {
                S::find(target.config).and_then(|(host, name)| self.show(target, &host, &name))
            }
            (true, false) => self.hide(target),
            (false, false) => Ok(()),
        };
        changed.map_err(|cause| GatewayError::new(S::Settings::ID, cause))
    }

    fn refresh(&mut self, target: &Target<'_>, settings: &S::Settings) -> Result<(), GatewayError> {
        if !S::is_wanted(settings) {
            return Ok(());
        }
        self.follow(target)
            .map_err(|cause| GatewayError::new(S::Settings::ID, cause))
    }

    fn grant(&self, target: &Target<'_>, settings: &S::Settings, process: &mut ProcessGrants) {
        let found = S::find(target.config).ok();
        if let Some((_, name)) = found.filter(|_| S::is_wanted(settings)) {
            process.environment.extend(S::environment(&name));
        }
    }
}

impl<S: Server> HostSocket<S> {
    /// Mounts the socket's successor, if there is one. While there is none, because its server
    /// restarts, the old one stays.
    pub(super) fn follow(&mut self, target: &Target<'_>) -> Result<(), Cause> {
        match S::find(target.config) {
            Ok((host, name)) if host.exists() => self.show(target, &host, &name),
            _ => Ok(()),
        }
    }

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
