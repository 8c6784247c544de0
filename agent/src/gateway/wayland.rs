//! The wayland gateway: the compositor's socket in the container.

use std::{
    env,
    path::{Path, PathBuf},
};

use softwarecontainer_capability::gateway::wayland::WaylandSettings;

use super::{
    config::GatewaysConfig,
    error::Cause,
    host_socket::{GATEWAYS, HostSocket, Server},
};

/// The wayland gateway of one container.
pub type Wayland = HostSocket<Compositor>;

/// The compositor of the host.
#[derive(Debug, Default)]
pub struct Compositor;

impl Server for Compositor {
    type Settings = WaylandSettings;

    fn is_wanted(settings: &WaylandSettings) -> bool {
        settings.enabled
    }

    fn find(config: &GatewaysConfig) -> Result<(PathBuf, String), Cause> {
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

    fn environment(name: &str) -> Vec<(String, String)> {
        vec![
            ("XDG_RUNTIME_DIR".to_owned(), GATEWAYS.to_owned()),
            ("WAYLAND_DISPLAY".to_owned(), name.to_owned()),
        ]
    }
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
        let found = Compositor::find(&config).unwrap();
        assert_eq!(found, ("/run/weston/display".into(), "display".to_owned()));
        let variables = Compositor::environment(&found.1);
        assert!(variables.contains(&("WAYLAND_DISPLAY".to_owned(), "display".to_owned())));
    }
}
