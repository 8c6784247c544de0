//! Wayland gateway: access to the host's compositor.

use crate::{
    element::{Element, required_bool},
    error::ConfigError,
    settings::Settings,
};

/// Merged configuration of the Wayland gateway.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct WaylandSettings {
    /// The container gets the compositor's socket.
    pub enabled: bool,
}

impl Settings for WaylandSettings {
    const ID: &'static str = "wayland";
    const KEYS: &'static [&'static str] = &["enabled"];

    fn merge(&mut self, element: &Element) -> Result<(), ConfigError> {
        self.enabled |= required_bool(element, "enabled")?;
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
        assert!(settings.enabled);
        assert!(
            !merged::<WaylandSettings>(json!([{"enabled": false}]))
                .unwrap()
                .enabled
        );
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
