//! PulseAudio gateway: access to the host's sound servers.

use crate::{
    element::{Element, required_bool},
    error::ConfigError,
    place::Place,
    settings::Settings,
};
use std::collections::BTreeSet;

const AUDIO: &str = "audio";
const ZONE: &str = "zone";

/// Merged configuration of the PulseAudio gateway.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct PulseAudioSettings {
    /// The container gets the sockets of these zones' sound servers.
    pub zones: BTreeSet<Place>,
}

impl Settings for PulseAudioSettings {
    const ID: &'static str = "pulseaudio";
    const KEYS: &'static [&'static str] = &[AUDIO, ZONE];

    fn merge(&mut self, element: &Element) -> Result<(), ConfigError> {
        let zone = Place::of(element, ZONE)?;
        if required_bool(element, AUDIO)? {
            self.zones.insert(zone);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gateway::tests::merged;
    use serde_json::json;

    #[test]
    fn once_allowed_it_stays_allowed() {
        let settings: PulseAudioSettings =
            merged(json!([{"audio": true}, {"audio": false}])).unwrap();
        assert_eq!(settings.zones, [Place::default()].into());
        let settings: PulseAudioSettings =
            merged(json!([{"audio": false}, {"audio": true, "zone": "rear"}])).unwrap();
        assert_eq!(settings.zones, [Place::named("rear").unwrap()].into());
    }

    #[test]
    fn the_key_is_required_and_boolean() {
        for wrong in [
            json!([{}]),
            json!([{"audio": null}]),
            json!([{"audio": "yes"}]),
        ] {
            let error = merged::<PulseAudioSettings>(wrong).unwrap_err().to_string();
            assert!(error.contains("config[0].audio"), "{error}");
        }
    }
}
