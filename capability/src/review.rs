//! Looks for mistakes in what manifests ask of gateways, before anyone sets a capability.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use crate::{
    gateway::GatewaySettings,
    gateway_config::GatewayConfig,
    manifest::{Capability, Warning},
};

/// The capabilities of manifests, and the texts they were read from, for the places of mistakes.
#[derive(Debug, Default)]
pub struct Review {
    sources: BTreeMap<PathBuf, Vec<u8>>,
    default: Vec<GatewayConfig>,
    listed: BTreeMap<String, Vec<GatewayConfig>>,
}

impl Review {
    /// Adds capabilities that are always applied, read from `source`, the contents of `file`.
    pub fn add_default(&mut self, file: &Path, source: Vec<u8>, capabilities: &[Capability]) {
        self.sources.insert(file.to_owned(), source);
        let gateways = capabilities.iter().flat_map(|one| &one.gateways);
        self.default.extend(gateways.cloned());
    }

    /// Adds capabilities that launchers choose from.
    pub fn add_listed(&mut self, file: &Path, source: Vec<u8>, capabilities: &[Capability]) {
        self.sources.insert(file.to_owned(), source);
        for Capability { name, gateways } in capabilities {
            let of_name = self.listed.entry(name.clone()).or_default();
            of_name.extend_from_slice(gateways);
        }
    }

    /// How many capabilities there are that launchers choose from.
    #[must_use]
    pub fn capabilities(&self) -> usize {
        self.listed.len()
    }

    /// Every mistake: each capability is merged over the default ones, as when it is set alone.
    #[must_use]
    pub fn mistakes(&self) -> Vec<Warning> {
        let mut found = Vec::new();
        let mut always = GatewaySettings::default();
        self.merge(&mut always, &self.default, &mut found);
        for gateways in self.listed.values() {
            self.merge(&mut always.clone(), gateways, &mut found);
        }
        found
    }

    fn merge(
        &self,
        settings: &mut GatewaySettings,
        gateways: &[GatewayConfig],
        found: &mut Vec<Warning>,
    ) {
        for config in gateways {
            for error in settings.add_and_review(config) {
                let file = &config.origin.file;
                let source = self.sources.get(&**file);
                found.push(Warning {
                    file: file.to_path_buf(),
                    position: source.and_then(|source| error.position(source)),
                    message: format!(
                        "capability {}: gateway {:?}, {}: {}",
                        config.origin.capability,
                        config.id,
                        error.path(),
                        error.problem()
                    ),
                });
            }
        }
    }
}
