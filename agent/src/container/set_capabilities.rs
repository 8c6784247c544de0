//! SetCapabilities: what a container's gateways let through grows.

use std::collections::BTreeSet;

#[cfg(feature = "gateway-network")]
use softwarecontainer_capability::gateway::network::Host;
use softwarecontainer_capability::{GatewayConfig, GatewaySettings};

use super::{Container, ContainerError, State};
use crate::gateway::GatewayError;

impl Container {
    /// Applies gateway configurations on top of those applied before; all or nothing. One that was
    /// applied before is not applied again: what it appends to a variable, for example, is there
    /// already. `launcher` is the process that waits for it, if it is known.
    ///
    /// # Errors
    /// [`ContainerError`]; the container then is as before.
    pub fn set_capabilities(
        &mut self,
        configs: &[GatewayConfig],
        launcher: Option<u32>,
    ) -> Result<(), ContainerError> {
        self.require_ready("set capabilities")?;
        self.launcher = launcher;
        self.changing(|container| container.add_capabilities(configs))
    }

    fn add_capabilities(&mut self, configs: &[GatewayConfig]) -> Result<(), ContainerError> {
        let mut settings = self.settings.clone();
        settings.add(configs)?;
        // Taken out, so that a gateway may look at the container that it changes.
        let mut gateways = std::mem::take(&mut self.gateways);
        let changed = gateways.change(&self.target(), &self.settings, &settings);
        self.gateways = gateways;
        changed.map_err(|source| ContainerError::Gateway {
            id: self.id,
            asked: asked(&source, configs),
            source: Box::new(source),
        })?;
        let is_new = |config: &&GatewayConfig| !self.settings.has(std::slice::from_ref(*config));
        let rules = self.facts.rules();
        let new = configs.iter().filter(is_new);
        self.facts
            .set_rules(rules.iter().chain(new).cloned().collect());
        self.settings = settings;
        self.facts.set_names(named_hosts(&self.settings));
        let names = configs.iter().map(|config| &*config.origin.capability);
        self.facts.add_capabilities(names);
        Ok(())
    }

    /// Applies the default capabilities, unless they have been applied.
    ///
    /// # Errors
    /// As for [`Self::set_capabilities`].
    pub fn set_defaults(
        &mut self,
        configs: &[GatewayConfig],
        launcher: Option<u32>,
    ) -> Result<(), ContainerError> {
        if self.settings.has(configs) {
            return Ok(());
        }
        self.set_capabilities(configs, launcher)
    }

    /// Lets the gateways follow what has changed on the host, in a container that is ready.
    pub fn refresh_gateways(&mut self) {
        // Also while it is suspended: what is unmounted on the host must not stay in use.
        if self.state != State::Invalid {
            self.mounts().follow();
        }
        self.follow_host();
        self.save();
    }

    fn follow_host(&mut self) {
        if self.state != State::Ready {
            return;
        }
        let mut gateways = std::mem::take(&mut self.gateways);
        gateways.refresh(&self.target(), &self.settings);
        self.gateways = gateways;
    }
}

/// The hosts that rules for the network name.
#[cfg(feature = "gateway-network")]
pub(super) fn named_hosts(settings: &GatewaySettings) -> BTreeSet<String> {
    let rules = settings.network.rules.iter();
    let names = rules.filter_map(|rule| match &rule.host {
        Host::Name(name) => Some(name.clone()),
        _ => None,
    });
    names.collect()
}

#[cfg(not(feature = "gateway-network"))]
pub(super) fn named_hosts(_settings: &GatewaySettings) -> BTreeSet<String> {
    BTreeSet::new()
}

/// The capabilities that ask something of the gateway that failed, and their manifests.
fn asked(error: &GatewayError, configs: &[GatewayConfig]) -> String {
    let mut origins: Vec<String> = configs
        .iter()
        .filter(|config| config.id == error.gateway)
        .map(|config| config.origin.to_string())
        .collect();
    origins.sort();
    origins.dedup();
    match origins.is_empty() {
        true => String::new(),
        false => format!(", {}", origins.join(" or ")),
    }
}
