//! The pulseaudio gateway: the sound servers' sockets in the container.
//!
//! That the client library uses no shared memory is in `/etc/pulse/client.conf`, which every
//! container has ([`crate::container::rootfs`]).

use std::{collections::BTreeMap, env, path::PathBuf};

use serde_json::Value;
use softwarecontainer_capability::{gateway::pulseaudio::PulseAudioSettings, place::Place};

use super::{
    config::GatewaysConfig,
    error::Cause,
    host_socket::HostSocket,
    places::{Opening, Places, configured},
    server_socket::GATEWAYS,
    target::Target,
};
use crate::host::descriptor_store::Shelf;

/// The socket's name in the container.
const NAME: &str = "pulse_socket";

/// The pulseaudio gateway of one container.
pub(super) type PulseAudio = Places<SoundServer>;

/// The sound server of one zone.
#[derive(Debug, Default)]
pub(super) struct SoundServer(HostSocket);

impl Opening for SoundServer {
    type Settings = PulseAudioSettings;
    type Wanted = ();

    fn places(settings: &PulseAudioSettings) -> BTreeMap<Place, ()> {
        let zones = settings.zones.iter();
        zones.map(|zone| (zone.clone(), ())).collect()
    }

    fn environment(name: String) -> Vec<(&'static str, String)> {
        vec![("PULSE_SERVER", format!("unix:{GATEWAYS}/{name}"))]
    }

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

    fn keep(&mut self, _: &Shelf<'_>, _: &str) -> Option<Value> {
        self.0.keep()
    }

    fn adopt(
        &mut self,
        target: &Target<'_>,
        (): &(),
        kept: &Value,
        _: &Shelf<'_>,
        _: &str,
    ) -> Result<(), Cause> {
        self.0.adopt(target, kept)
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
