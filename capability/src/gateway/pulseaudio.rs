//! PulseAudio gateway: access to the host's sound server.

use crate::{
    element::{Element, required_bool},
    error::ConfigError,
    settings::Settings,
};

/// Merged configuration of the PulseAudio gateway.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct PulseAudioSettings {
    /// The container gets the sound server's socket.
    pub audio: bool,
}

impl Settings for PulseAudioSettings {
    const ID: &'static str = "pulseaudio";
    const KEYS: &'static [&'static str] = &["audio"];

    fn merge(&mut self, element: &Element) -> Result<(), ConfigError> {
        self.audio |= required_bool(element, "audio")?;
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
        assert!(settings.audio);
        assert!(
            !merged::<PulseAudioSettings>(json!([{"audio": false}]))
                .unwrap()
                .audio
        );
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
