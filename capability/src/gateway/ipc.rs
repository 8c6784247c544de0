//! IPC gateway: System V IPC and POSIX message queues with the host. The classic agent has none.

use crate::{
    element::{Element, required_bool},
    error::ConfigError,
    settings::Settings,
};

/// Merged configuration of the IPC gateway.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct IpcSettings {
    /// Processes that are started from now on are in the host's IPC namespace (ipc_namespaces(7)).
    pub host: bool,
}

impl Settings for IpcSettings {
    const ID: &'static str = "ipc";
    const KEYS: &'static [&'static str] = &["host"];

    fn merge(&mut self, element: &Element) -> Result<(), ConfigError> {
        self.host |= required_bool(element, "host")?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gateway::tests::merged;
    use serde_json::json;

    #[test]
    fn once_shared_it_stays_shared() {
        let settings: IpcSettings =
            merged(json!([{"host": false}, {"host": true}, {"host": false}])).unwrap();
        assert!(settings.host);
        assert!(
            !merged::<IpcSettings>(json!([{"host": false}]))
                .unwrap()
                .host
        );
    }

    #[test]
    fn the_key_is_required_and_boolean() {
        for wrong in [json!([{}]), json!([{"host": 1}]), json!([{"host": "true"}])] {
            let error = merged::<IpcSettings>(wrong).unwrap_err().to_string();
            assert!(error.contains("config[0].host"), "{error}");
        }
    }
}
