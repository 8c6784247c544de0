//! The pipewire gateway: listening sockets of the container's own, of which PipeWire knows whose
//! they are and what their clients may do ([`super::security_context`]).
//!
//! What that means for a client is decided by the session manager, with a script of this project
//! (`wireplumber/`).

use std::{collections::BTreeMap, env, path::PathBuf, time::Duration};

use serde_json::Value;
use softwarecontainer_capability::{
    gateway::pipewire::{Media, PipeWireSettings},
    place::Place,
};
use softwarecontainer_security_context::message::Server;

use super::{
    config::GatewaysConfig,
    contract,
    error::Cause,
    places::{Opening, Places, configured},
    security_context::{self, ContextError, ContextSocket, Registration, Told},
    server_socket::{self, GATEWAYS},
    target::Target,
};
use crate::host::descriptor_store::Shelf;

/// The socket's name in the container, where clients look for it by default.
const NAME: &str = "pipewire-0";
const NAME_OF_ZONE: &str = "pipewire-";
/// How long PipeWire may take, with its session manager: longer than the program that asks waits.
const PATIENCE: Duration = Duration::from_secs(5);

/// The socket's name in the container.
fn name(zone: &Place) -> String {
    zone.name()
        .map_or_else(|| NAME.to_owned(), |zone| format!("{NAME_OF_ZONE}{zone}"))
}

/// The pipewire gateway of one container.
pub(super) type PipeWire = Places<Daemon>;

/// PipeWire in one zone.
#[derive(Debug, Default)]
pub(super) struct Daemon {
    context: Option<ContextSocket>,
    /// What the socket is registered for.
    media: Option<Media>,
}

impl Opening for Daemon {
    type Settings = PipeWireSettings;
    type Wanted = Media;

    fn places(settings: &PipeWireSettings) -> BTreeMap<Place, Media> {
        settings.zones.clone()
    }

    fn environment(name: String) -> Vec<(&'static str, String)> {
        vec![
            ("PIPEWIRE_RUNTIME_DIR", GATEWAYS.to_owned()),
            ("PIPEWIRE_REMOTE", name),
        ]
    }

    fn find(config: &GatewaysConfig, zone: &Place) -> Result<(PathBuf, String), Cause> {
        let variable = |name: &str| {
            let value = env::var_os(name).filter(|value| !value.is_empty());
            value.map(PathBuf::from)
        };
        let path = match (
            configured(&config.pipewire_zones, zone, "pipewire-zone"),
            &config.pipewire_socket,
        ) {
            (Some(found), _) => found?,
            (None, Some(path)) => path.clone(),
            (None, None) => in_environment(
                variable("PIPEWIRE_REMOTE"),
                variable("PIPEWIRE_RUNTIME_DIR").or_else(|| variable("XDG_RUNTIME_DIR")),
            )?,
        };
        Ok((path, name(zone)))
    }

    fn show(
        &mut self,
        target: &Target<'_>,
        (host, name): (PathBuf, String),
        media: &Media,
    ) -> Result<(), Cause> {
        let server = server_socket::open(target, &host)?;
        let identity = server.identity().map_err(server_socket::into_cause)?;
        let is_registered = |socket: &ContextSocket| socket.is_registered(identity);
        if self.context.as_ref().is_some_and(is_registered) && self.media == Some(*media) {
            return Ok(());
        }
        server_socket::watch(target, &host);
        let is_new = self.context.is_none();
        let registration = Registration {
            server: Server::PipeWire {
                media: media.words().join(","),
            },
            socket: &server,
            identity,
            name: &name,
            patience: PATIENCE,
            also_launcher: true,
            is_successor: !is_new && self.media == Some(*media),
        };
        let told = security_context::register(&mut self.context, target, &registration);
        let failure = match told {
            Ok(Told::Registered | Told::Later) => {
                self.media = Some(*media);
                return Ok(());
            }
            Ok(Told::NotOffered) => ContextError::NoInterface(host),
            Err(error) => error,
        };
        if is_new {
            self.context = None;
        }
        Err(Cause::PipeWire(Box::new(failure)))
    }

    fn hide(&mut self, _: &Target<'_>) -> Result<(), Cause> {
        self.context = None;
        Ok(())
    }

    fn keep(&mut self, shelf: &Shelf<'_>, item: &str) -> Option<Value> {
        let kept = ContextSocket::keep(self.context.as_mut(), shelf, item);
        serde_json::to_value(kept).ok()
    }

    fn adopt(
        &mut self,
        target: &Target<'_>,
        media: &Media,
        kept: &Value,
        shelf: &Shelf<'_>,
        item: &str,
    ) -> Result<(), Cause> {
        let kept = contract::read(kept)?;
        self.context = ContextSocket::adopt(target, kept, shelf, item);
        self.media = self.context.as_ref().map(|_| *media);
        Ok(())
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
