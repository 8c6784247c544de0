//! Gateways: what a capability opens between a container and its host.
//!
//! What a gateway accepts is parsed and merged in the `capability` crate; each module here applies it to a container.

#[cfg(feature = "gateway-cgroups")]
pub mod cgroups;
#[cfg(feature = "gateway-dbus")]
mod dbus;
#[cfg(feature = "gateway-devicenode")]
mod devicenode;
#[cfg(feature = "gateway-env")]
mod env;
mod error;
#[cfg(feature = "gateway-file")]
mod file;
#[cfg(feature = "gateway-network")]
pub mod network;
mod target;

use std::collections::BTreeMap;

pub use error::{Cause, GatewayError};
pub use target::Target;

use softwarecontainer_capability::gateway::GatewaySettings;

/// One gateway of one container. Calls block and come one at a time.
pub trait Gateway: Send {
    /// What all capabilities together ask of it.
    type Settings;

    /// Takes the container from what `from` says to what `to` says, or leaves it as it was.
    ///
    /// A failed `SetCapabilities` is taken back by a call with the two exchanged.
    ///
    /// # Errors
    /// [`GatewayError`] naming what could not be applied.
    fn change(
        &mut self,
        target: &Target<'_>,
        from: &Self::Settings,
        to: &Self::Settings,
    ) -> Result<(), GatewayError>;
}

macro_rules! gateways {
    ($($feature:literal $field:ident: $gateway:ty,)*) => {
        /// All gateways of one container, in the order of their activation.
        #[derive(Default)]
        pub struct Gateways {
            $(#[cfg(feature = $feature)] $field: $gateway,)*
        }

        impl Gateways {
            /// Takes the container from one merged configuration to another, with every gateway or none.
            ///
            /// # Errors
            /// [`GatewayError`] of the first gateway that failed; those before it were taken back.
            pub fn change(
                &mut self,
                target: &Target<'_>,
                from: &GatewaySettings,
                to: &GatewaySettings,
            ) -> Result<(), GatewayError> {
                let mut failure = None;
                let mut done = 0_usize;
                $(#[cfg(feature = $feature)]
                if failure.is_none() {
                    failure = self.$field.change(target, &from.$field, &to.$field).err();
                    done += 1;
                })*
                let Some(failure) = failure else { return Ok(()) };
                // The one that failed has left things as they were; those before it are taken back.
                $(#[cfg(feature = $feature)]
                if done > 1 {
                    done -= 1;
                    if let Err(error) = self.$field.change(target, &to.$field, &from.$field) {
                        log::error!("container {}: taking back: {error}", target.id);
                    }
                })*
                Err(failure)
            }
        }
    };
}

gateways! {
    "gateway-file" file: file::File,
    "gateway-network" network: network::Connection,
    "gateway-devicenode" devicenode: devicenode::DeviceNode,
    "gateway-dbus" dbus: dbus::Dbus,
    "gateway-cgroups" cgroups: cgroups::Limits,
    "gateway-env" env: env::Env,
}

/// The environment variables that the gateways give to every process of the container with LXC name `name`. Those of the env
/// gateway win.
#[allow(
    unused_variables,
    reason = "a build may have none of the gateways that give any"
)]
pub fn environment(name: &str, settings: &GatewaySettings) -> BTreeMap<String, String> {
    let mut variables = BTreeMap::new();
    #[cfg(feature = "gateway-dbus")]
    variables.extend(dbus::environment(name, &settings.dbus));
    #[cfg(feature = "gateway-env")]
    variables.extend(settings.env.vars.clone());
    variables
}
