//! The dbus gateway: sockets in `/gateways`, behind which a proxy lets messages to the host's buses
//! pass.
//!
//! The proxy is a process of its own for each container, see the crate `dbus-proxy`. The listening
//! sockets are ours, so they outlive it.

mod host;

use std::{io, os::fd::OwnedFd, path::Path, sync::Arc};

use serde_json::Value;
use softwarecontainer_capability::{
    Settings as _,
    gateway::dbus::{self, DbusSettings},
};
use softwarecontainer_dbus_proxy::{
    client::{Proxy, Service, Services},
    control::Bus,
    rule::{BusDirection, BusRule, Pattern, RuleSet},
};

use super::{
    contract::{Gateway, ProcessGrants},
    error::{Cause, GatewayError},
    target::Target,
};
use crate::host::app_directory;

/// The dbus gateway of one container.
#[derive(Debug, Default)]
pub struct Dbus {
    proxy: Option<Proxy>,
    listeners: [Option<Arc<OwnedFd>>; 2],
}

impl Gateway for Dbus {
    type Settings = DbusSettings;

    fn change(
        &mut self,
        target: &Target<'_>,
        from: &DbusSettings,
        to: &DbusSettings,
    ) -> Result<(), GatewayError> {
        if from == to {
            return Ok(());
        }
        let result = self.apply(target, to);
        // What is not wanted: by `to` when it holds, else by `from`.
        let wanted = if result.is_ok() { to } else { from };
        for bus in Bus::ALL {
            if rules(wanted, bus).is_none() {
                self.close(target, bus);
            }
        }
        if *wanted == DbusSettings::default() {
            self.proxy = None;
        }
        result.map_err(|cause| GatewayError::new(DbusSettings::ID, cause))
    }

    fn keep(&self) -> Option<Value> {
        // The proxy ends with its agent.
        (self.proxy.is_none()).then_some(Value::Null)
    }

    fn grant(&self, target: &Target<'_>, settings: &DbusSettings, process: &mut ProcessGrants) {
        process
            .environment
            .extend(environment(target.name, settings));
    }
}

impl Dbus {
    fn apply(&mut self, target: &Target<'_>, to: &DbusSettings) -> Result<(), Cause> {
        let mut services: Services = [None, None];
        for (bus, service) in Bus::ALL.into_iter().zip(&mut services) {
            if let Some(rules) = rules(to, bus) {
                *service = Some(Service {
                    listener: self.open(target, bus)?,
                    rules: rules.iter().map(rule).collect::<RuleSet>(),
                });
            }
        }
        let failed = |error: softwarecontainer_dbus_proxy::client::ClientError| {
            Cause::Other(softwarecontainer_dbus_proxy::error_chain(&error))
        };
        if self.proxy.is_none() {
            let options = host::options(target.name, target.helpers.clone(), target.config)?;
            self.proxy = Some(Proxy::start(options).map_err(failed)?);
        }
        match &self.proxy {
            Some(proxy) => proxy.serve(services).map_err(failed),
            None => Ok(()),
        }
    }

    /// The listening socket for `bus`, made if it is not there.
    fn open(&mut self, target: &Target<'_>, bus: Bus) -> Result<Arc<OwnedFd>, Cause> {
        let name = socket_name(bus, target.name);
        match self.listeners.get_mut(bus.index()) {
            Some(Some(listener)) => Ok(Arc::clone(listener)),
            Some(place) => {
                let made = listen(&target.gateways, &name);
                let listener = made.map_err(|source| Cause::File {
                    action: "listen on",
                    path: target.gateways.join(&name),
                    source,
                })?;
                Ok(Arc::clone(place.insert(Arc::new(listener))))
            }
            None => Err(Cause::Other(format!("no place for the {bus} bus"))),
        }
    }

    fn close(&mut self, target: &Target<'_>, bus: Bus) {
        let listener = self.listeners.get_mut(bus.index());
        if listener.and_then(Option::take).is_some() {
            let name = socket_name(bus, target.name);
            if let Err(error) = app_directory::remove(&target.gateways, &name) {
                log::warn!(
                    "container {}: cannot remove socket {name}: {error}",
                    target.id
                );
            }
        }
    }
}

/// The variables that lead an app's D-Bus library to the sockets of the container with LXC name
/// `name`.
fn environment(name: &str, settings: &DbusSettings) -> Vec<(String, String)> {
    let variables = [
        (Bus::Session, "DBUS_SESSION_BUS_ADDRESS"),
        (Bus::System, "DBUS_SYSTEM_BUS_ADDRESS"),
    ];
    let there = variables
        .into_iter()
        .filter(|(bus, _)| rules(settings, *bus).is_some());
    there
        .map(|(bus, variable)| {
            let address = format!("unix:path=/gateways/{}", socket_name(bus, name));
            (variable.to_owned(), address)
        })
        .collect()
}

fn socket_name(bus: Bus, name: &str) -> String {
    match bus {
        Bus::Session => format!("sess_{name}.sock"),
        Bus::System => format!("sys_{name}.sock"),
    }
}

fn rules(settings: &DbusSettings, bus: Bus) -> Option<&Vec<dbus::MessageRule>> {
    match bus {
        Bus::Session => settings.session.as_ref(),
        Bus::System => settings.system.as_ref(),
    }
}

fn rule(rule: &dbus::MessageRule) -> BusRule {
    BusRule {
        direction: match rule.direction {
            dbus::MessageDirection::Outgoing => Some(BusDirection::Outgoing),
            dbus::MessageDirection::Incoming => Some(BusDirection::Incoming),
            dbus::MessageDirection::Both => None,
        },
        interface: Pattern::new(&rule.interface),
        path: Pattern::new(&rule.path),
        member: Pattern::new(&rule.member),
    }
}

/// Listens at `name` in `directory`, for every user of the container.
fn listen(directory: &Path, name: &str) -> io::Result<OwnedFd> {
    let listener = app_directory::listen(directory, name)?;
    // An event loop that accepts must not wait when a client has gone again.
    listener.set_nonblocking(true)?;
    Ok(listener.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_buses_with_rules_are_in_the_environment() {
        let mut settings = DbusSettings::default();
        assert_eq!(environment("SC-3", &settings), []);
        settings.session = Some(vec![]);
        let expected = (
            "DBUS_SESSION_BUS_ADDRESS",
            "unix:path=/gateways/sess_SC-3.sock",
        );
        let expected = (expected.0.to_owned(), expected.1.to_owned());
        assert_eq!(environment("SC-3", &settings), [expected]);
    }
}
