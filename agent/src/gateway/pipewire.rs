//! The pipewire gateway: a listening socket of the container's own, of which PipeWire knows whose
//! it is and what its clients may do ([`super::security_context`]).
//!
//! What that means for a client is decided by the session manager, with a script of this project
//! (`wireplumber/`).

use std::{env, path::PathBuf, time::Duration};

use softwarecontainer_capability::{Settings as _, gateway::pipewire::PipeWireSettings};
use softwarecontainer_security_context::message::Server;

use super::{
    config::GatewaysConfig,
    contract::{Gateway, ProcessGrants},
    error::{Cause, GatewayError},
    security_context::{self, ContextError, ContextSocket, Registration},
    server_socket::{self, GATEWAYS},
    target::Target,
};

/// The socket's name in the container, where clients look for it by default.
const NAME: &str = "pipewire-0";
/// How long PipeWire may take, with its session manager: longer than the program that asks waits.
const PATIENCE: Duration = Duration::from_secs(5);

/// The pipewire gateway of one container.
#[derive(Debug, Default)]
pub struct PipeWire {
    context: Option<ContextSocket>,
    /// What the socket is registered for.
    media: String,
}

impl Gateway for PipeWire {
    type Settings = PipeWireSettings;

    fn change(
        &mut self,
        target: &Target<'_>,
        from: &PipeWireSettings,
        to: &PipeWireSettings,
    ) -> Result<(), GatewayError> {
        let changed = if !to.is_wanted() {
            self.context = None;
            Ok(())
        } else if from == to {
            // PipeWire may be restarting just now.
            self.follow(target, to)
        } else {
            self.show(target, to)
        };
        changed.map_err(|cause| GatewayError::new(PipeWireSettings::ID, cause))
    }

    fn refresh(
        &mut self,
        target: &Target<'_>,
        settings: &PipeWireSettings,
    ) -> Result<(), GatewayError> {
        if !settings.is_wanted() {
            return Ok(());
        }
        self.follow(target, settings)
            .map_err(|cause| GatewayError::new(PipeWireSettings::ID, cause))
    }

    fn grant(&self, _: &Target<'_>, settings: &PipeWireSettings, process: &mut ProcessGrants) {
        if settings.is_wanted() {
            process.environment.extend([
                ("PIPEWIRE_RUNTIME_DIR".to_owned(), GATEWAYS.to_owned()),
                ("PIPEWIRE_REMOTE".to_owned(), NAME.to_owned()),
            ]);
        }
    }
}

impl PipeWire {
    /// Registers with PipeWire's successor, if there is one. While there is none, because it
    /// restarts, apps that connect wait.
    fn follow(&mut self, target: &Target<'_>, settings: &PipeWireSettings) -> Result<(), Cause> {
        match find(target.config) {
            Ok(host) if host.exists() => self.show(target, settings),
            _ => Ok(()),
        }
    }

    fn show(&mut self, target: &Target<'_>, settings: &PipeWireSettings) -> Result<(), Cause> {
        let host = find(target.config)?;
        let media = settings.words().join(",");
        let server = server_socket::open(target, &host)?;
        let identity = server.identity().map_err(server_socket::into_cause)?;
        let is_registered = |socket: &ContextSocket| socket.is_registered(identity);
        if self.context.as_ref().is_some_and(is_registered) && self.media == media {
            return Ok(());
        }
        server_socket::watch(target, &host);
        let is_new = self.context.is_none();
        let registration = Registration {
            server: Server::PipeWire {
                media: media.clone(),
            },
            socket: &server,
            identity,
            name: NAME,
            patience: PATIENCE,
            also_launcher: true,
        };
        let registered = security_context::register(&mut self.context, target, registration);
        let failure = match registered {
            Ok(true) => {
                self.media = media;
                return Ok(());
            }
            Ok(false) => ContextError::NoInterface(host),
            Err(error) => error,
        };
        if is_new {
            self.context = None;
        }
        Err(Cause::PipeWire(Box::new(failure)))
    }
}

fn find(config: &GatewaysConfig) -> Result<PathBuf, Cause> {
    let variable = |name: &str| {
        let value = env::var_os(name).filter(|value| !value.is_empty());
        value.map(PathBuf::from)
    };
    match &config.pipewire_socket {
        Some(path) => Ok(path.clone()),
        None => in_environment(
            variable("PIPEWIRE_REMOTE"),
            variable("PIPEWIRE_RUNTIME_DIR").or_else(|| variable("XDG_RUNTIME_DIR")),
        ),
    }
}

/// As PipeWire's clients find it.
fn in_environment(remote: Option<PathBuf>, directory: Option<PathBuf>) -> Result<PathBuf, Cause> {
    let remote = remote.unwrap_or_else(|| PathBuf::from(NAME));
    if remote.is_absolute() {
        return Ok(remote);
    }
    match directory.filter(|directory| directory.is_absolute()) {
        Some(directory) => Ok(directory.join(remote)),
        None => Err(Cause::Other(
            "neither pipewire-socket is configured, nor has the agent the environment variable \
             PIPEWIRE_RUNTIME_DIR or XDG_RUNTIME_DIR"
                .to_owned(),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn socket_is_found_as_clients_find_it() {
        let found = |remote: Option<&str>, directory: Option<&str>| {
            in_environment(remote.map(PathBuf::from), directory.map(PathBuf::from)).ok()
        };
        let run = Some("/run/pipewire");
        assert_eq!(found(None, run), Some("/run/pipewire/pipewire-0".into()));
        assert_eq!(
            found(Some("other"), run),
            Some("/run/pipewire/other".into())
        );
        assert_eq!(found(Some("/run/p"), None), Some("/run/p".into()));
        assert_eq!(found(None, None), None);
        assert_eq!(found(None, Some("relative")), None);
    }
}
