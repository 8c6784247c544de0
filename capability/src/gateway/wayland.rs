//! Wayland gateway: access to the host's compositors.

use crate::{
    element::{Element, required_bool},
    error::ConfigError,
    place::Place,
    settings::Settings,
};
use std::collections::BTreeSet;

const ENABLED: &str = "enabled";
const DISPLAY: &str = "display";

/// Merged configuration of the Wayland gateway.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct WaylandSettings {
    /// The container gets the sockets of these displays' compositors.
    pub displays: BTreeSet<Place>,
}

impl Settings for WaylandSettings {
    const ID: &'static str = "wayland";
    const KEYS: &'static [&'static str] = &[ENABLED, DISPLAY];

    fn merge(&mut self, element: &Element) -> Result<(), ConfigError> {
        let display = Place::of(element, DISPLAY)?;
        if required_bool(element, ENABLED)? {
            self.displays.insert(display);
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
    fn once_enabled_it_stays_enabled() {
        let settings: WaylandSettings =
            merged(json!([{"enabled": false}, {"enabled": true}, {"enabled": false}])).unwrap();
        assert_eq!(settings.displays, [Place::default()].into());
        let nothing: WaylandSettings =
            merged(json!([{"enabled": false}, {"enabled": false, "display": "rear"}])).unwrap();
        assert!(nothing.displays.is_empty());
    }

    #[test]
    fn each_display_is_opened_that_an_element_names() {
        let settings: WaylandSettings = merged(json!([
            {"enabled": true, "display": "rear"},
            {"enabled": true},
            {"enabled": true, "display": "rear"}
        ]))
        .unwrap();
        let names: Vec<_> = settings.displays.iter().map(Place::name).collect();
        assert_eq!(names, [None, Some("rear")]);
        let wrong = merged::<WaylandSettings>(json!([{"enabled": true, "display": "/run/x"}]));
        let error = wrong.unwrap_err().to_string();
        assert!(error.contains("config[0].display"), "{error}");
    }

    #[test]
    fn the_key_is_required_and_boolean() {
        for wrong in [
            json!([{}]),
            json!([{"enabled": 1}]),
            json!([{"enabled": "true"}]),
            json!([{"Enabled": true}]),
        ] {
            let error = merged::<WaylandSettings>(wrong).unwrap_err().to_string();
            assert!(error.contains("config[0].enabled"), "{error}");
        }
    }
}
