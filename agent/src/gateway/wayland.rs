//! The wayland gateway: the compositors' sockets in the container.
//!
//! Where the compositor has the protocol security-context-v1 the container gets a listening socket
//! of its own instead, of which the compositor knows whose it is
//! ([`super::security_context`]).

use std::{
    collections::BTreeMap,
    env,
    path::{Path, PathBuf},
    time::Duration,
};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use softwarecontainer_capability::{gateway::wayland::WaylandSettings, place::Place};
use softwarecontainer_security_context::message;

use super::{
    config::{GatewaysConfig, SecurityContext},
    contract,
    error::Cause,
    host_socket::HostSocket,
    places::{Opening, Places, configured},
    security_context::{self, ContextError, ContextSocket, Registration, Told},
    server_socket::{self, GATEWAYS},
    target::Target,
};
use crate::{error_chain::Chain, host::descriptor_store::Shelf, mounts::host_source::Identity};

/// What the name of a display's socket in the container begins with.
const NAME_OF_DISPLAY: &str = "display-";
/// How long a compositor may take to answer where apps must be registered.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long it may take where they need not be.
const SHORT_PATIENCE: Duration = Duration::from_millis(300);

/// The wayland gateway of one container.
pub(super) type Wayland = Places<Display>;

/// The compositor of one display.
#[derive(Debug, Default)]
pub(super) struct Display {
    plain: HostSocket,
    context: Option<ContextSocket>,
    /// The compositor that was asked last and has no security contexts, or has not answered.
    without_context: Option<Identity>,
}

impl Opening for Display {
    type Settings = WaylandSettings;
    type Wanted = ();

    fn places(settings: &WaylandSettings) -> BTreeMap<Place, ()> {
        let displays = settings.displays.iter();
        displays.map(|display| (display.clone(), ())).collect()
    }

    fn environment(name: String) -> Vec<(&'static str, String)> {
        vec![
            ("XDG_RUNTIME_DIR", GATEWAYS.to_owned()),
            ("WAYLAND_DISPLAY", name),
        ]
    }

    fn find(config: &GatewaysConfig, display: &Place) -> Result<(PathBuf, String), Cause> {
        if let Some(found) = configured(&config.wayland_displays, display, "wayland-display") {
            let name = display.name().unwrap_or_default();
            return Ok((found?, format!("{NAME_OF_DISPLAY}{name}")));
        }
        let variable = |name: &str| env::var_os(name).filter(|value| !value.is_empty());
        let path = match &config.wayland_socket {
            Some(path) => path.clone(),
            None => in_environment(
                variable("WAYLAND_DISPLAY").map(PathBuf::from),
                variable("XDG_RUNTIME_DIR").map(PathBuf::from),
            )?,
        };
        named(path)
    }

    fn show(
        &mut self,
        target: &Target<'_>,
        (host, name): (PathBuf, String),
        (): &(),
    ) -> Result<(), Cause> {
        let mode = target.config.wayland_security_context;
        if mode == SecurityContext::Off {
            return self.plain.show(target, &host, &name);
        }
        let compositor = server_socket::open(target, &host)?;
        let identity = compositor.identity().map_err(server_socket::into_cause)?;
        let is_registered = |socket: &ContextSocket| socket.is_registered(identity);
        if self.context.as_ref().is_some_and(is_registered) {
            return Ok(());
        }
        if self.without_context == Some(identity) {
            return self.plain.show(target, &host, &name);
        }
        server_socket::watch(target, &host);
        let is_new = self.context.is_none();
        // Both have the same place.
        self.plain.hide(target)?;
        // Once registered, an app is not to be without it.
        let must = mode == SecurityContext::Required || !is_new;
        let registration = Registration {
            server: message::Server::Compositor,
            socket: &compositor,
            identity,
            name: &name,
            patience: if must { PATIENCE } else { SHORT_PATIENCE },
            also_launcher: must,
            is_successor: !is_new,
        };
        let told = security_context::register(&mut self.context, target, &registration);
        let failure = match told {
            Ok(Told::Registered | Told::Later) => {
                self.without_context = None;
                return Ok(());
            }
            Ok(Told::NotOffered) => ContextError::NoProtocol(host.clone()),
            Err(error) => error,
        };
        let is_told = matches!(failure, ContextError::NoProtocol(_));
        // No way back for an app that was told apart from others: the next try may succeed.
        if mode == SecurityContext::Required || !(is_told || is_new) {
            if is_new {
                self.context = None;
            }
            return Err(Cause::Wayland(Box::new(failure)));
        }
        if !is_told {
            log::warn!(
                "container {}: its apps have the compositor's own socket: {}",
                target.id,
                Chain(&failure)
            );
        }
        self.without_context = Some(identity);
        self.context = None;
        self.plain.show(target, &host, &name)
    }

    fn hide(&mut self, target: &Target<'_>) -> Result<(), Cause> {
        self.context = None;
        self.plain.hide(target)
    }

    fn keep(&mut self, shelf: &Shelf<'_>, item: &str) -> Option<Value> {
        let kept = Kept {
            plain: self.plain.keep()?,
            context: ContextSocket::keep(self.context.as_mut(), shelf, item),
            without_context: self.without_context,
        };
        serde_json::to_value(kept).ok()
    }

    fn adopt(
        &mut self,
        target: &Target<'_>,
        (): &(),
        kept: &Value,
        shelf: &Shelf<'_>,
        item: &str,
    ) -> Result<(), Cause> {
        let kept: Kept = contract::read(kept)?;
        self.plain.adopt(target, &kept.plain)?;
        self.context = ContextSocket::adopt(target, kept.context, shelf, item);
        self.without_context = kept.without_context;
        Ok(())
    }
}

/// What is written down of a display.
#[derive(Debug, Serialize, Deserialize)]
struct Kept {
    plain: Value,
    context: Option<security_context::Kept>,
    without_context: Option<Identity>,
}

/// As wl_display_connect(3) finds it.
fn in_environment(display: Option<PathBuf>, directory: Option<PathBuf>) -> Result<PathBuf, Cause> {
    let missing = |name: &str| {
        Cause::Other(format!(
            "neither wayland-socket is configured, nor has the agent the environment variable {name}"
        ))
    };
    let display = display.ok_or_else(|| missing("WAYLAND_DISPLAY"))?;
    if display.is_absolute() {
        return Ok(display);
    }
    let directory = directory.ok_or_else(|| missing("XDG_RUNTIME_DIR"))?;
    Ok(directory.join(display))
}

fn named(path: PathBuf) -> Result<(PathBuf, String), Cause> {
    let name = path.file_name().and_then(|name| name.to_str());
    match name.map(str::to_owned) {
        Some(name) if path.is_absolute() => Ok((path, name)),
        _ => Err(no_path(&path)),
    }
}

fn no_path(path: &Path) -> Cause {
    Cause::Other(format!(
        "{:?} is no absolute path of a Wayland socket",
        path.display().to_string()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(display: Option<&str>, directory: Option<&str>) -> Option<PathBuf> {
        in_environment(display.map(PathBuf::from), directory.map(PathBuf::from)).ok()
    }

    #[test]
    fn socket_is_found_as_clients_find_it() {
        let run = Some("/run/user/1000");
        assert_eq!(
            found(Some("wayland-1"), run),
            Some("/run/user/1000/wayland-1".into())
        );
        assert_eq!(found(Some("/run/w"), None), Some("/run/w".into()));
        assert_eq!(found(Some("/run/w"), run), Some("/run/w".into()));
        assert_eq!(found(None, run), None);
        assert_eq!(found(Some("wayland-1"), None), None);
    }

    #[test]
    fn configured_socket_goes_first_and_keeps_its_name_in_the_container() {
        let config = GatewaysConfig {
            wayland_socket: Some("/run/weston/display".into()),
            ..GatewaysConfig::default()
        };
        let found = Display::find(&config, &Place::default()).unwrap();
        assert_eq!(found, ("/run/weston/display".into(), "display".to_owned()));
    }

    #[test]
    fn a_display_is_where_the_configuration_says() {
        let rear = Place::named("rear").unwrap();
        let error = Display::find(&GatewaysConfig::default(), &rear).unwrap_err();
        assert!(
            error.to_string().contains("wayland-display.rear"),
            "{error}"
        );
        let config = GatewaysConfig {
            wayland_displays: [(rear.clone(), "/run/rear/wayland-0".into())].into(),
            ..GatewaysConfig::default()
        };
        let found = Display::find(&config, &rear).unwrap();
        assert_eq!(
            found,
            ("/run/rear/wayland-0".into(), "display-rear".to_owned())
        );
    }
}
