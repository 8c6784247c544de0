//! The env gateway: variables for every process, and a file of them for people who attach by hand.

use std::fmt::Write as _;

use serde_json::Value;
use softwarecontainer_capability::{Settings as _, gateway::env::EnvSettings};

use super::{
    contract::{Gateway, ProcessGrants},
    error::{Cause, GatewayError},
    target::Target,
};

use crate::host::{app_directory, descriptor_store::Shelf};

/// The file in the container's gateway directory that holds the variables as shell `export` lines.
const FILE: &str = "env";

/// The env gateway of one container.
#[derive(Debug, Default)]
pub struct Env;

impl Gateway for Env {
    type Settings = EnvSettings;

    fn change(
        &mut self,
        target: &Target<'_>,
        from: &EnvSettings,
        to: &EnvSettings,
    ) -> Result<(), GatewayError> {
        if from == to {
            return Ok(());
        }
        let path = target.gateways.join(FILE);
        let written = app_directory::replace(&target.gateways, FILE, exports(to).as_bytes());
        written.map_err(|source| {
            let action = "write";
            GatewayError::new(
                EnvSettings::ID,
                Cause::File {
                    action,
                    path,
                    source,
                },
            )
        })
    }

    fn keep(&mut self, _: &Shelf<'_>) -> Option<Value> {
        Some(Value::Null)
    }

    fn grant(&self, _target: &Target<'_>, settings: &EnvSettings, process: &mut ProcessGrants) {
        process.environment.extend(settings.vars.clone());
    }
}

fn exports(settings: &EnvSettings) -> String {
    let mut text = String::new();
    for (name, value) in &settings.vars {
        // A shell takes everything between single quotes literally, except the quote itself.
        let quoted = value.replace('\'', r"'\''");
        // Writing to a string cannot fail.
        let _ = writeln!(text, "export {name}='{quoted}'");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_quoted_for_a_shell() {
        let mut settings = EnvSettings::default();
        settings.vars.insert("A".into(), "it's $HOME".into());
        assert_eq!(exports(&settings), "export A='it'\\''s $HOME'\n");
    }
}
