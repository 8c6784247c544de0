//! The pulseaudio gateway: the sound server's socket in the container.
//!
//! That the client library uses no shared memory is in `/etc/pulse/client.conf`, which every
//! container has ([`crate::container::rootfs`]).

use std::{collections::BTreeMap, env, path::PathBuf};

use softwarecontainer_capability::{Settings as _, gateway::pulseaudio::PulseAudioSettings};

use super::{
    config::GatewaysConfig,
    contract::{Gateway, ProcessGrants},
    error::{Cause, GatewayError},
    host_socket::{GATEWAYS, HostSocket},
    target::Target,
};

/// The socket's name in the container.
const NAME: &str = "pulse_socket";

/// The pulseaudio gateway of one container.
#[derive(Debug, Default)]
pub struct PulseAudio {
    socket: HostSocket,
}

impl Gateway for PulseAudio {
    type Settings = PulseAudioSettings;

    fn change(
        &mut self,
        target: &Target<'_>,
        from: &PulseAudioSettings,
        to: &PulseAudioSettings,
    ) -> Result<(), GatewayError> {
        let changed = match (from.audio, to.audio) {
            // The sound server may be restarting just now.
            (true, true) => return self.refresh(target, to),
            (false, true) => {
                place(target.config).and_then(|host| self.socket.show(target, &host, NAME))
            }
            (true, false) => self.socket.hide(target),
            (false, false) => Ok(()),
        };
        changed.map_err(|cause| GatewayError::new(PulseAudioSettings::ID, cause))
    }

    fn refresh(
        &mut self,
        target: &Target<'_>,
        settings: &PulseAudioSettings,
    ) -> Result<(), GatewayError> {
        let Some(host) = place(target.config).ok().filter(|_| settings.audio) else {
            return Ok(());
        };
        self.socket
            .renew(target, &host, NAME)
            .map_err(|cause| GatewayError::new(PulseAudioSettings::ID, cause))
    }

    fn grant(
        &self,
        _target: &Target<'_>,
        settings: &PulseAudioSettings,
        process: &mut ProcessGrants,
    ) {
        process.environment.extend(environment(settings));
    }
}

/// The variable that leads an app to the socket.
fn environment(settings: &PulseAudioSettings) -> BTreeMap<String, String> {
    let server = || ("PULSE_SERVER".to_owned(), format!("unix:{GATEWAYS}/{NAME}"));
    settings.audio.then(server).into_iter().collect()
}

/// The socket on the host.
pub fn place(config: &GatewaysConfig) -> Result<PathBuf, Cause> {
    match &config.pulse_socket {
        Some(path) => Ok(path.clone()),
        None => in_variable(env::var("PULSE_SERVER").ok().as_deref()),
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
