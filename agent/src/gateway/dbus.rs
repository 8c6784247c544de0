//! The dbus gateway: sockets in `/gateways`, behind which a proxy lets messages to the host's buses
//! pass.
//!
//! The proxy is a process of its own for each container, see the crate `dbus-proxy`. The listening
//! sockets are ours, so they outlive it. Both outlive an agent that is killed ([`kept`]).

mod host;
mod kept;

use std::{io, os::fd::OwnedFd, path::Path, sync::Arc};

use serde_json::Value;
use softwarecontainer_capability::{
    Settings as _,
    gateway::dbus::{self, DbusSettings},
};
use softwarecontainer_dbus_proxy::{
    client::{ClientError, Proxy, Service, Services},
    control::Bus,
    rule::{BusDirection, BusRule, Pattern, RuleSet},
};

use super::{
    contract::{Gateway, ProcessGrants},
    error::{Cause, GatewayError},
    target::Target,
};
use crate::host::{app_directory, descriptor_store::Shelf};
use kept::Shelved;

/// The dbus gateway of one container.
#[derive(Debug, Default)]
pub struct Dbus {
    proxy: Option<Proxy>,
    listeners: [Option<Arc<OwnedFd>>; 2],
    shelved: Shelved,
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

    fn keep(&mut self, shelf: &Shelf<'_>) -> Option<Value> {
        self.shelved
            .keep(shelf, &self.listeners, self.proxy.as_ref())
    }

    fn adopt(
        &mut self,
        target: &Target<'_>,
        settings: &DbusSettings,
        kept: &Value,
        shelf: &Shelf<'_>,
    ) -> Result<(), GatewayError> {
        let adopted = self.take_over(target, settings, kept, shelf);
        adopted.map_err(|cause| GatewayError::new(DbusSettings::ID, cause))
    }

    fn grant(&self, target: &Target<'_>, settings: &DbusSettings, process: &mut ProcessGrants) {
        process
            .environment
            .extend(environment(target.name, settings));
    }
}

impl Dbus {
    fn apply(&mut self, target: &Target<'_>, to: &DbusSettings) -> Result<(), Cause> {
        let services = self.services(target, to)?;
        if self.proxy.is_none() {
            self.proxy = Some(Proxy::start(host::options(target)?).map_err(failed)?);
        }
        match &self.proxy {
            Some(proxy) => proxy.serve(services).map_err(failed),
            None => Ok(()),
        }
    }

    /// What is to be served, with listening sockets.
    fn services(&mut self, target: &Target<'_>, to: &DbusSettings) -> Result<Services, Cause> {
        let mut services: Services = [None, None];
        for (bus, service) in Bus::ALL.into_iter().zip(&mut services) {
            if let Some(rules) = rules(to, bus) {
                *service = Some(Service {
                    listener: self.open(target, bus)?,
                    rules: rules.iter().map(rule).collect::<RuleSet>(),
                });
            }
        }
        Ok(services)
    }

    /// Goes on with what an earlier agent has left. What of it is not there any more is made anew.
    fn take_over(
        &mut self,
        target: &Target<'_>,
        settings: &DbusSettings,
        kept: &Value,
        shelf: &Shelf<'_>,
    ) -> Result<(), Cause> {
        for (bus, listener) in Bus::ALL.into_iter().zip(&mut self.listeners) {
            *listener = self.shelved.take_listener(shelf, bus);
        }
        let left = self.shelved.take_proxy(shelf, kept)?;
        if *settings == DbusSettings::default() {
            return Ok(());
        }
        let Some(left) = left else {
            return self.apply(target, settings);
        };
        let services = self.services(target, settings)?;
        let adopted = Proxy::adopt(host::options(target)?, left, services);
        self.proxy = Some(adopted.map_err(failed)?);
        Ok(())
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

fn failed(error: ClientError) -> Cause {
    Cause::Other(softwarecontainer_dbus_proxy::error_chain(&error))
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
