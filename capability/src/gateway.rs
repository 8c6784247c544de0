//! What each gateway accepts: its configuration elements, parsed and merged.

#[cfg(feature = "gateway-cgroups")]
pub mod cgroups;
#[cfg(feature = "gateway-dbus")]
pub mod dbus;
#[cfg(feature = "gateway-devicenode")]
pub mod devicenode;
#[cfg(feature = "gateway-env")]
pub mod env;
#[cfg(feature = "gateway-file")]
pub mod file;
#[cfg(feature = "gateway-ipc")]
pub mod ipc;
#[cfg(feature = "gateway-network")]
pub mod network;
#[cfg(feature = "gateway-pipewire")]
pub mod pipewire;
#[cfg(feature = "gateway-privileges")]
pub mod privileges;
#[cfg(feature = "gateway-pulseaudio")]
pub mod pulseaudio;
#[cfg(feature = "gateway-wayland")]
pub mod wayland;

use crate::{
    element::Element,
    error::{ConfigError, Problem},
    gateway_config::{GatewayConfig, Origin},
    json::shown,
    nearest::suggestion,
    settings::Settings,
};
use serde_json::Value;
use std::collections::BTreeSet;

/// Declares [`GatewaySettings`] from one line per gateway: feature, field and type.
macro_rules! gateways {
    ($($(#[$doc:meta])* $feature:literal $field:ident: $settings:ty,)*) => {
        /// All gateways' merged settings of one container.
        #[derive(Clone, Default, PartialEq, Debug)]
        pub struct GatewaySettings {
            $($(#[$doc])* #[cfg(feature = $feature)] pub $field: $settings,)*
            /// What has been merged, so that a capability that is set again changes nothing.
            /// Without this an `append` to an environment variable would count again.
            merged: BTreeSet<Origin>,
        }

        impl GatewaySettings {
            #[allow(unused_variables, reason = "in a build without any gateway")]
            fn merge_each_into(&mut self, id: &str, elements: &[Value]) -> Vec<ConfigError> {
                match id {
                    $(#[cfg(feature = $feature)]
                    <$settings as Settings>::ID => merge_each(&mut self.$field, elements),)*
                    _ => vec![unknown_gateway(id)],
                }
            }

            #[allow(unused_variables, reason = "in a build without any gateway")]
            fn merge_into(&mut self, id: &str, elements: &[Value]) -> Result<(), ConfigError> {
                match id {
                    $(#[cfg(feature = $feature)]
                    <$settings as Settings>::ID => merge_all(&mut self.$field, elements),)*
                    _ => Err(unknown_gateway(id)),
                }
            }
        }

        /// IDs of the gateways in this build.
        pub const GATEWAYS: &[&str] = &[$(#[cfg(feature = $feature)] <$settings as Settings>::ID,)*];

        /// What is probably a mistake in an element of gateway `id` though it can be used: the key
        /// that it is about, and what is wrong.
        #[must_use]
        #[allow(unused_variables, reason = "in a build without any gateway")]
        pub fn doubts(id: &str, element: &Element) -> Vec<(&'static str, String)> {
            match id {
                $(#[cfg(feature = $feature)]
                <$settings as Settings>::ID => <$settings as Settings>::doubts(element),)*
                _ => Vec::new(),
            }
        }

        /// The keys that the elements of gateway `id` may have; `None` when there is no such
        /// gateway or it does not tell.
        #[must_use]
        pub fn known_keys(id: &str) -> Option<&'static [&'static str]> {
            let keys = match id {
                $(#[cfg(feature = $feature)]
                <$settings as Settings>::ID => <$settings as Settings>::KEYS,)*
                _ => &[],
            };
            (!keys.is_empty()).then_some(keys)
        }
    };
}

gateways! {
    /// Files and directories of the host.
    "gateway-file" file: file::FileSettings,
    /// The network.
    "gateway-network" network: network::NetworkSettings,
    /// Sound.
    "gateway-pulseaudio" pulseaudio: pulseaudio::PulseAudioSettings,
    /// Sound and cameras by PipeWire.
    "gateway-pipewire" pipewire: pipewire::PipeWireSettings,
    /// Device nodes of the host.
    "gateway-devicenode" devicenode: devicenode::DeviceNodeSettings,
    /// The host's D-Bus buses.
    "gateway-dbus" dbus: dbus::DbusSettings,
    /// Limits, shares, and the class of network packets.
    "gateway-cgroups" cgroups: cgroups::CgroupsSettings,
    /// The host's Wayland compositor.
    "gateway-wayland" wayland: wayland::WaylandSettings,
    /// The host's IPC namespace.
    "gateway-ipc" ipc: ipc::IpcSettings,
    /// System calls, kernel capabilities and limits.
    "gateway-privileges" privileges: crate::privilege::Privileges,
    /// Environment variables.
    "gateway-env" env: env::EnvSettings,
}

impl GatewaySettings {
    /// Merges gateway configurations in their order. What was merged before, by this or an earlier
    /// call, is skipped; a failure leaves the settings as they were.
    ///
    /// # Errors
    /// A gateway that does not exist, a configuration that is no array with at least one object, or
    /// an element that its gateway cannot use.
    pub fn add(&mut self, configs: &[GatewayConfig]) -> Result<(), ConfigError> {
        let mut next = self.clone();
        for config in configs {
            if next.merged.insert(config.origin.clone()) {
                next.add_one(config)
                    .map_err(|e| e.of_gateway(&config.id).read_in(&config.origin))?;
            }
        }
        *self = next;
        Ok(())
    }

    /// Merges of one gateway configuration what can be merged, and returns every mistake in the
    /// rest. For a check: what launchers ask for is all or nothing.
    pub fn add_and_review(&mut self, config: &GatewayConfig) -> Vec<ConfigError> {
        if !self.merged.insert(config.origin.clone()) {
            return Vec::new();
        }
        let mistakes = match &config.config {
            Value::Array(elements) => self.merge_each_into(&config.id, elements),
            _ => self.add_one(config).err().into_iter().collect(),
        };
        let placed = mistakes.into_iter();
        placed
            .map(|error| error.of_gateway(&config.id).read_in(&config.origin))
            .collect()
    }

    /// Whether all these configurations have been merged.
    #[must_use]
    pub fn has(&self, configs: &[GatewayConfig]) -> bool {
        configs
            .iter()
            .all(|config| self.merged.contains(&config.origin))
    }

    fn add_one(&mut self, config: &GatewayConfig) -> Result<(), ConfigError> {
        match &config.config {
            Value::Array(elements) => self.merge_into(&config.id, elements),
            other => Err(ConfigError::new(Problem::WrongType {
                expected: "an array",
                found: shown(other),
            })),
        }
    }
}

fn unknown_gateway(id: &str) -> ConfigError {
    ConfigError::new(Problem::UnknownGateway {
        suggestion: suggestion(id, GATEWAYS.iter().copied()),
    })
}

#[allow(dead_code, reason = "in a build without any gateway")]
fn merge_all<S: Settings>(settings: &mut S, elements: &[Value]) -> Result<(), ConfigError> {
    if elements.is_empty() {
        return Err(ConfigError::new(Problem::Empty));
    }
    for (index, element) in elements.iter().enumerate() {
        merge_element(settings, element).map_err(|e| e.at(index))?;
    }
    Ok(())
}

#[allow(dead_code, reason = "in a build without any gateway")]
fn merge_each<S: Settings>(settings: &mut S, elements: &[Value]) -> Vec<ConfigError> {
    if elements.is_empty() {
        return vec![ConfigError::new(Problem::Empty)];
    }
    let mut mistakes = Vec::new();
    for (index, element) in elements.iter().enumerate() {
        let mut next = settings.clone();
        match merge_element(&mut next, element) {
            Ok(()) => *settings = next,
            Err(error) => mistakes.push(error.at(index)),
        }
    }
    mistakes
}

#[allow(dead_code, reason = "in a build without any gateway")]
fn merge_element<S: Settings>(settings: &mut S, element: &Value) -> Result<(), ConfigError> {
    match element {
        Value::Object(element) => settings.merge(element),
        other => Err(ConfigError::new(Problem::WrongType {
            expected: "an object",
            found: shown(other),
        })),
    }
}

#[cfg(test)]
pub(crate) mod tests;
