//! The pulseaudio gateway: the sound servers' sockets in the container.
//!
//! That the client library uses no shared memory is in `/etc/pulse/client.conf`, which every
//! container has ([`crate::container::rootfs`]).

use std::{collections::BTreeMap, env, path::PathBuf};

use serde_json::Value;
use softwarecontainer_capability::{
    Settings as _, gateway::pulseaudio::PulseAudioSettings, place::Place,
};

use super::{
    config::GatewaysConfig,
    contract::{Gateway, ProcessGrants},
    error::{Cause, GatewayError},
    host_socket::HostSocket,
    places::{Opening, Places, configured},
    server_socket::GATEWAYS,
    target::Target,
};

/// The socket's name in the container.
const NAME: &str = "pulse_socket";

/// The pulseaudio gateway of one container.
#[derive(Debug, Default)]
pub struct PulseAudio(Places<SoundServer>);

impl Gateway for PulseAudio {
    type Settings = PulseAudioSettings;

    fn change(
        &mut self,
        target: &Target<'_>,
        from: &PulseAudioSettings,
        to: &PulseAudioSettings,
    ) -> Result<(), GatewayError> {
        let changed = self.0.change(target, &zones(from), &zones(to));
        changed.map_err(|cause| GatewayError::new(PulseAudioSettings::ID, cause))
    }

    fn refresh(
        &mut self,
        target: &Target<'_>,
        settings: &PulseAudioSettings,
    ) -> Result<(), GatewayError> {
        let refreshed = self.0.refresh(target, &zones(settings));
        refreshed.map_err(|cause| GatewayError::new(PulseAudioSettings::ID, cause))
    }

    fn keep(&self) -> Option<Value> {
        // A right to a socket is taken back when its agent ends.
        self.0.is_empty().then_some(Value::Null)
    }

    fn grant(&self, target: &Target<'_>, settings: &PulseAudioSettings, to: &mut ProcessGrants) {
        let first = settings.zones.first();
        if let Some(Ok((_, name))) = first.map(|zone| SoundServer::find(target.config, zone)) {
            let server = format!("unix:{GATEWAYS}/{name}");
            to.environment.insert("PULSE_SERVER".to_owned(), server);
        }
    }
}

fn zones(settings: &PulseAudioSettings) -> BTreeMap<Place, ()> {
    let zones = settings.zones.iter();
    zones.map(|zone| (zone.clone(), ())).collect()
}

/// The sound server of one zone.
#[derive(Debug, Default)]
struct SoundServer(HostSocket);

impl Opening for SoundServer {
    type Wanted = ();

    fn find(config: &GatewaysConfig, zone: &Place) -> Result<(PathBuf, String), Cause> {
        if let Some(found) = configured(&config.pulse_zones, zone, "pulse-zone") {
            return Ok((
                found?,
                format!("{NAME}-{}", zone.name().unwrap_or_default()),
            ));
        }
        let path = match &config.pulse_socket {
            Some(path) => path.clone(),
            None => in_variable(env::var("PULSE_SERVER").ok().as_deref())?,
        };
        Ok((path, NAME.to_owned()))
    }

    fn show(
        &mut self,
        target: &Target<'_>,
        (host, name): (PathBuf, String),
        (): &(),
    ) -> Result<(), Cause> {
        self.0.show(target, &host, &name)
    }

    fn hide(&mut self, target: &Target<'_>) -> Result<(), Cause> {
        self.0.hide(target)
    }
}

fn in_variable(server: Option<&str>) -> Result<PathBuf, Cause> {
    let Some(server) = server.filter(|server| !server.is_empty()) else {
        return Err(Cause::Other(
            "neither pulse-socket is configured, nor has the agent the environment variable PULSE_SERVER".to_owned(),
        ));
    };
    let path = PathBuf::from(server.strip_prefix("unix:").unwrap_or(server));
    if path.is_absolute() {
        Ok(path)
    } else {
        Err(Cause::Other(format!(
            "PULSE_SERVER is {server:?}, which is no socket of this host: only unix:/path and /path can be used"
        )))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn socket_of_this_host_is_taken_from_the_variable() {
        for server in ["unix:/run/pulse/native", "/run/pulse/native"] {
            let path = in_variable(Some(server)).unwrap();
            assert_eq!(path, PathBuf::from("/run/pulse/native"));
        }
        for server in ["", "tcp:host:4713", "host", "unix:relative"] {
            let error = in_variable(Some(server)).unwrap_err().to_string();
            assert!(error.contains("PULSE_SERVER"), "{error}");
        }
        assert!(in_variable(None).is_err());
    }
}
