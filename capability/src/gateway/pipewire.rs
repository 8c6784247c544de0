//! PipeWire gateway: sound and pictures by PipeWire's native protocol. The classic agent has none.

use crate::{
    element::{Element, optional_bool},
    error::{ConfigError, Problem},
    json::shown,
    place::Place,
    settings::Settings,
};
use serde_json::Value;
use std::collections::BTreeMap;

const PLAYBACK: &str = "playback";
const CAPTURE: &str = "capture";
const CAMERA: &str = "camera";
const ZONE: &str = "zone";

/// Merged configuration of the PipeWire gateway.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct PipeWireSettings {
    /// What apps may do in each zone; where they may do nothing there is none.
    pub zones: BTreeMap<Place, Media>,
}

/// What apps may do.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct Media {
    /// Apps play sound.
    pub playback: bool,
    /// Apps record sound from microphones and the like.
    pub capture: bool,
    /// Apps see cameras and what they show.
    pub camera: bool,
}

impl Media {
    /// What is allowed, in the words of manifests.
    #[must_use]
    pub fn words(self) -> Vec<&'static str> {
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
    const KEYS: &'static [&'static str] = &[PLAYBACK, CAPTURE, CAMERA, ZONE];

    fn merge(&mut self, element: &Element) -> Result<(), ConfigError> {
        let zone = Place::of(element, ZONE)?;
        let mut media = self.zones.get(&zone).copied().unwrap_or_default();
        let mut any = false;
        for (key, allowed) in [
            (PLAYBACK, &mut media.playback),
            (CAPTURE, &mut media.capture),
            (CAMERA, &mut media.camera),
        ] {
            if let Some(value) = optional_bool(element, key)? {
                *allowed |= value;
                any = true;
            }
        }
        if !any {
            return Err(ConfigError::new(Problem::Invalid {
                value: shown(&Value::Object(element.clone())),
                why: format!("has none of {PLAYBACK:?}, {CAPTURE:?} and {CAMERA:?}"),
            }));
        }
        if media != Media::default() {
            self.zones.insert(zone, media);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gateway::tests::merged;
    use serde_json::json;

    fn words(config: serde_json::Value) -> Vec<&'static str> {
        let settings: PipeWireSettings = merged(config).unwrap();
        settings.zones[&Place::default()].words()
    }

    #[test]
    fn each_is_allowed_on_its_own_and_stays_allowed() {
        assert_eq!(words(json!([{"playback": true}])), ["playback"]);
        assert_eq!(
            words(json!([{"camera": true}, {"capture": true, "camera": false}])),
            ["capture", "camera"]
        );
        let nothing: PipeWireSettings = merged(json!([{"playback": false}])).unwrap();
        assert!(nothing.zones.is_empty());
    }

    #[test]
    fn zones_do_not_share_what_is_allowed() {
        let settings: PipeWireSettings = merged(json!([
            {"playback": true, "zone": "rear"}, {"capture": true}, {"camera": true, "zone": "rear"}
        ]))
        .unwrap();
        let words: Vec<_> = settings
            .zones
            .iter()
            .map(|(zone, media)| (zone.name(), media.words()))
            .collect();
        assert_eq!(
            words,
            [
                (None, vec!["capture"]),
                (Some("rear"), vec!["playback", "camera"])
            ]
        );
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
