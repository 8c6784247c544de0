//! All gateways of one container, in the order of their activation.

use std::collections::BTreeMap;

use serde_json::Value;
use softwarecontainer_capability::GatewaySettings;

#[cfg(feature = "gateway-cgroups")]
use super::cgroups;
#[allow(unused_imports, reason = "in a build without any gateway")]
use super::contract::Gateway as _;
#[cfg(feature = "gateway-dbus")]
use super::dbus;
#[cfg(feature = "gateway-devicenode")]
use super::devicenode;
#[cfg(feature = "gateway-env")]
use super::env;
#[cfg(feature = "gateway-file")]
use super::file;
#[cfg(feature = "gateway-ipc")]
use super::ipc;
#[cfg(feature = "gateway-network")]
use super::network;
#[cfg(feature = "gateway-pipewire")]
use super::pipewire;
#[cfg(feature = "gateway-privileges")]
use super::privileges;
#[cfg(feature = "gateway-pulseaudio")]
use super::pulseaudio;
#[cfg(feature = "gateway-wayland")]
use super::wayland;
use super::{contract::ProcessGrants, error::GatewayError, target::Target};
use crate::{error_chain::Chain, host::descriptor_store::Shelf};

macro_rules! gateways {
    ($($feature:literal $field:ident: $gateway:ty,)*) => {
        /// All gateways of one container, in the order of their activation.
        #[derive(Default)]
        pub struct Gateways {
            $(#[cfg(feature = $feature)] $field: $gateway,)*
        }

        impl Gateways {
            /// The change of each gateway, in the order of their activation.
            const CHANGES: &[Change] = &[
                $(#[cfg(feature = $feature)]
                |all, target, from, to| all.$field.change(target, &from.$field, &to.$field),)*
            ];
            const REFRESHES: &[Refresh] = &[
                $(#[cfg(feature = $feature)]
                |all, target, settings| all.$field.refresh(target, &settings.$field),)*
            ];
            #[cfg(test)]
            const IDS: &[&str] = &[
                $(#[cfg(feature = $feature)]
                <<$gateway as super::contract::Gateway>::Settings as
                    softwarecontainer_capability::Settings>::ID,)*
            ];
            /// What each gateway keeps, by its ID.
            const KEEPS: &[(&str, Keep)] = &[
                $(#[cfg(feature = $feature)]
                (id_of::<$gateway>(), |all, shelf| all.$field.keep(shelf)),)*
            ];
            const ADOPTS: &[(&str, Adopt)] = &[
                $(#[cfg(feature = $feature)]
                (id_of::<$gateway>(), |all, target, settings, kept, shelf| {
                    all.$field.adopt(target, &settings.$field, kept, shelf)
                }),)*
            ];
            const GRANTS: &[Grant] = &[
                $(#[cfg(feature = $feature)]
                |all, target, settings, process| {
                    all.$field.grant(target, &settings.$field, process);
                },)*
            ];
        }
    };
}

gateways! {
    "gateway-file" file: file::File,
    "gateway-network" network: network::NetworkGateway,
    "gateway-pulseaudio" pulseaudio: pulseaudio::PulseAudio,
    "gateway-pipewire" pipewire: pipewire::PipeWire,
    "gateway-devicenode" devicenode: devicenode::DeviceNode,
    "gateway-dbus" dbus: dbus::Dbus,
    "gateway-cgroups" cgroups: cgroups::ContainerCgroup,
    "gateway-wayland" wayland: wayland::Wayland,
    "gateway-ipc" ipc: ipc::Ipc,
    "gateway-privileges" privileges: privileges::PrivilegesGateway,
    "gateway-env" env: env::Env,
}

type Change =
    fn(&mut Gateways, &Target<'_>, &GatewaySettings, &GatewaySettings) -> Result<(), GatewayError>;
type Refresh = fn(&mut Gateways, &Target<'_>, &GatewaySettings) -> Result<(), GatewayError>;
type Keep = fn(&mut Gateways, &Shelf<'_>) -> Option<Value>;
type Adopt = fn(
    &mut Gateways,
    &Target<'_>,
    &GatewaySettings,
    &Value,
    &Shelf<'_>,
) -> Result<(), GatewayError>;
type Grant = fn(&Gateways, &Target<'_>, &GatewaySettings, &mut ProcessGrants);

#[allow(dead_code, reason = "in a build without any gateway")]
const fn id_of<G: super::contract::Gateway>() -> &'static str
where
    G::Settings: softwarecontainer_capability::Settings,
{
    <G::Settings as softwarecontainer_capability::Settings>::ID
}

impl Gateways {
    /// What the next agent has to know of each, by its ID; `None` when it cannot go on with one.
    #[must_use]
    pub fn keep(&mut self, shelf: &Shelf<'_>) -> Option<BTreeMap<String, Value>> {
        let kept = Self::KEEPS.iter();
        kept.map(|(id, keep)| Some(((*id).to_owned(), keep(self, shelf)?)))
            .collect()
    }

    /// Goes on where an earlier agent has left off with what `settings` say.
    ///
    /// # Errors
    /// [`GatewayError`] of the first one that cannot.
    pub fn adopt(
        &mut self,
        target: &Target<'_>,
        settings: &GatewaySettings,
        kept: &BTreeMap<String, Value>,
        shelf: &Shelf<'_>,
    ) -> Result<(), GatewayError> {
        for (id, adopt) in Self::ADOPTS {
            // One that the earlier agent was built without has done nothing.
            if let Some(kept) = kept.get(*id) {
                adopt(self, target, settings, kept, shelf)?;
            }
        }
        Ok(())
    }

    /// Takes the container from one merged configuration to another, with every gateway or none.
    ///
    /// # Errors
    /// [`GatewayError`] of the first gateway that failed; those before it were taken back, the last
    /// one first.
    pub fn change(
        &mut self,
        target: &Target<'_>,
        from: &GatewaySettings,
        to: &GatewaySettings,
    ) -> Result<(), GatewayError> {
        for (index, change) in Self::CHANGES.iter().enumerate() {
            let Err(failure) = change(self, target, from, to) else {
                continue;
            };
            for change in Self::CHANGES.iter().take(index).rev() {
                if let Err(error) = change(self, target, to, from) {
                    log::error!("container {}: taking back: {}", target.id, Chain(&error));
                }
            }
            return Err(failure);
        }
        Ok(())
    }

    /// Lets every gateway follow what has changed on the host. A failure is logged: what was there
    /// before is still better than nothing.
    pub fn refresh(&mut self, target: &Target<'_>, settings: &GatewaySettings) {
        for refresh in Self::REFRESHES {
            if let Err(error) = refresh(self, target, settings) {
                log::warn!("container {}: {}", target.id, Chain(&error));
            }
        }
    }

    /// What all gateways give to a process that is started. Of two that set the same variable the
    /// later one in the order of activation wins.
    pub fn grants(&self, target: &Target<'_>, settings: &GatewaySettings) -> ProcessGrants {
        let mut process = ProcessGrants::default();
        for grant in Self::GRANTS {
            grant(self, target, settings, &mut process);
        }
        process
    }
}

#[cfg(test)]
mod tests {
    use softwarecontainer_capability::GATEWAYS;

    use super::Gateways;

    #[test]
    fn every_gateway_that_manifests_may_configure_is_applied_in_the_same_order() {
        assert_eq!(Gateways::IDS, GATEWAYS);
    }
}
