//! PipeWire gateway: sound and pictures by PipeWire's native protocol. The classic agent has none.

use crate::{
    element::{Element, optional_bool},
    error::{ConfigError, Problem},
    json::shown,
    settings::Settings,
};
use serde_json::Value;

const PLAYBACK: &str = "playback";
const CAPTURE: &str = "capture";
const CAMERA: &str = "camera";

/// Merged configuration of the PipeWire gateway.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct PipeWireSettings {
    /// Apps play sound.
    pub playback: bool,
    /// Apps record sound from microphones and the like.
    pub capture: bool,
    /// Apps see cameras and what they show.
    pub camera: bool,
}

impl PipeWireSettings {
    /// Whether the container has anything to do with PipeWire.
    #[must_use]
    pub fn is_wanted(&self) -> bool {
        self != &Self::default()
    }

    /// What is allowed, in the words of manifests.
    #[must_use]
    pub fn words(&self) -> Vec<&'static str> {
        let all = [
            (PLAYBACK, self.playback),
            (CAPTURE, self.capture),
            (CAMERA, self.camera),
        ];
        all.into_iter()
            .filter_map(|(word, allowed)| allowed.then_some(word))
            .collect()
    }
}

impl Settings for PipeWireSettings {
    const ID: &'static str = "pipewire";
    const KEYS: &'static [&'static str] = &[PLAYBACK, CAPTURE, CAMERA];

    fn merge(&mut self, element: &Element) -> Result<(), ConfigError> {
        let mut any = false;
        for (key, allowed) in [
            (PLAYBACK, &mut self.playback),
            (CAPTURE, &mut self.capture),
            (CAMERA, &mut self.camera),
        ] {
            if let Some(value) = optional_bool(element, key)? {
                *allowed |= value;
                any = true;
            }
        }
        if any {
            Ok(())
        } else {
            Err(ConfigError::new(Problem::Invalid {
                value: shown(&Value::Object(element.clone())),
                why: format!("has none of {PLAYBACK:?}, {CAPTURE:?} and {CAMERA:?}"),
            }))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gateway::tests::merged;
    use serde_json::json;

    fn words(config: serde_json::Value) -> Vec<&'static str> {
        merged::<PipeWireSettings>(config).unwrap().words()
    }

    #[test]
    fn each_is_allowed_on_its_own_and_stays_allowed() {
        assert_eq!(words(json!([{"playback": true}])), ["playback"]);
        assert_eq!(
            words(json!([{"camera": true}, {"capture": true, "camera": false}])),
            ["capture", "camera"]
        );
        let nothing: PipeWireSettings = merged(json!([{"playback": false}])).unwrap();
        assert!(!nothing.is_wanted());
    }

    #[test]
    fn an_element_that_says_nothing_or_no_boolean_is_refused() {
        for (wrong, named) in [
            (
                json!([{}]),
                "config[0]: {} has none of \"playback\", \"capture\"",
            ),
            (json!([{"playback": "yes"}]), "config[0].playback"),
            (
                json!([{"playback": true}, {"camera": 1}]),
                "config[1].camera",
            ),
        ] {
            let error = merged::<PipeWireSettings>(wrong).unwrap_err().to_string();
            assert!(error.contains(named), "{error}");
        }
    }
}
