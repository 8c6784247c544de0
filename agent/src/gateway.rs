//! Gateways: what a capability opens between a container and its host.
//!
//! What a gateway accepts is parsed and merged in the `capability` crate; each module here applies
//! it to a container.

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
#[cfg(any(feature = "gateway-pulseaudio", feature = "gateway-wayland"))]
mod host_socket;
#[cfg(feature = "gateway-ipc")]
mod ipc;
#[cfg(feature = "gateway-network")]
pub mod network;
#[cfg(feature = "gateway-privileges")]
pub mod privileges;
#[cfg(feature = "gateway-pulseaudio")]
mod pulseaudio;
mod target;
pub mod watch;
#[cfg(feature = "gateway-wayland")]
mod wayland;

use std::collections::BTreeMap;

pub use error::{Cause, GatewayError};
pub use target::Target;

use softwarecontainer_capability::{gateway::GatewaySettings, privilege::Privileges};

use crate::config::Config;

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

    /// Follows what has changed on the host since; called before each process that is started, and
    /// when sockets are made anew.
    ///
    /// # Errors
    /// [`GatewayError`] naming what could not be followed.
    fn refresh(
        &mut self,
        _target: &Target<'_>,
        _settings: &Self::Settings,
    ) -> Result<(), GatewayError> {
        Ok(())
    }
}

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
        }
    };
}

gateways! {
    "gateway-file" file: file::File,
    "gateway-network" network: network::Connection,
    "gateway-pulseaudio" pulseaudio: pulseaudio::PulseAudio,
    "gateway-devicenode" devicenode: devicenode::DeviceNode,
    "gateway-dbus" dbus: dbus::Dbus,
    "gateway-cgroups" cgroups: cgroups::Limits,
    "gateway-wayland" wayland: wayland::Wayland,
    "gateway-ipc" ipc: ipc::Ipc,
    "gateway-privileges" privileges: privileges::Checked,
    "gateway-env" env: env::Env,
}

type Change =
    fn(&mut Gateways, &Target<'_>, &GatewaySettings, &GatewaySettings) -> Result<(), GatewayError>;
type Refresh = fn(&mut Gateways, &Target<'_>, &GatewaySettings) -> Result<(), GatewayError>;

impl Gateways {
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
                    log::error!("container {}: taking back: {error}", target.id);
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
                log::warn!("container {}: {error}", target.id);
            }
        }
    }
}

/// The environment variables that the gateways give to every process of the container with LXC name
/// `name`. Those of the env gateway win.
#[allow(
    unused_mut,
    unused_variables,
    reason = "a build may have none of the gateways that give any"
)]
pub fn environment(
    name: &str,
    settings: &GatewaySettings,
    config: &Config,
) -> BTreeMap<String, String> {
    let mut variables = BTreeMap::new();
    #[cfg(feature = "gateway-dbus")]
    variables.extend(dbus::environment(name, &settings.dbus));
    #[cfg(feature = "gateway-pulseaudio")]
    variables.extend(pulseaudio::environment(&settings.pulseaudio));
    #[cfg(feature = "gateway-wayland")]
    variables.extend(wayland::environment(&settings.wayland, config));
    #[cfg(feature = "gateway-env")]
    variables.extend(settings.env.vars.clone());
    variables
}

/// Whether processes are to be started in the host's IPC namespace.
#[allow(unused_variables, reason = "a build may lack the gateway")]
pub fn in_host_ipc(settings: &GatewaySettings) -> bool {
    #[cfg(feature = "gateway-ipc")]
    return settings.ipc.host;
    #[cfg(not(feature = "gateway-ipc"))]
    false
}

/// What manifests give to processes besides what every process has.
#[allow(unused_variables, reason = "a build may lack the gateway")]
pub fn privileges(settings: &GatewaySettings) -> Option<&Privileges> {
    #[cfg(feature = "gateway-privileges")]
    return Some(&settings.privileges);
    #[cfg(not(feature = "gateway-privileges"))]
    None
}
