//! What every gateway does for a container.

use std::collections::BTreeMap;

use serde::de::DeserializeOwned;
use serde_json::Value;
use softwarecontainer_capability::privilege::Privileges;

use super::{
    error::{Cause, GatewayError},
    target::Target,
};
use crate::host::descriptor_store::Shelf;

/// What the gateways of a container give to a process when it is started.
#[derive(Debug, Default)]
pub struct ProcessGrants {
    /// Environment variables.
    pub environment: BTreeMap<String, String>,
    /// It is in the host's IPC namespace, not in the container's.
    pub host_ipc: bool,
    /// What it has besides what every process has.
    pub privileges: Privileges,
    /// It may open raw sockets for ICMP.
    pub raw_icmp: bool,
}

/// Reads what a gateway has kept.
///
/// # Errors
/// [`Cause::Kept`].
#[allow(dead_code, reason = "in a build without any gateway")]
pub fn read<T: DeserializeOwned>(kept: &Value) -> Result<T, Cause> {
    T::deserialize(kept).map_err(Cause::Kept)
}

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

    /// What the next agent has to know to go on with it, see [`Self::adopt`]; `None` when it
    /// cannot. What it needs of descriptors is kept on the `shelf`.
    fn keep(&mut self, shelf: &Shelf<'_>) -> Option<Value>;

    /// Goes on where an earlier agent has left off with what `settings` say, what it has
    /// [kept](Self::keep), and what is on the `shelf`. Nothing is changed in the container; there
    /// is nothing to do for a gateway that holds nothing.
    ///
    /// # Errors
    /// [`GatewayError`]: what was kept does not agree with what is there.
    fn adopt(
        &mut self,
        _target: &Target<'_>,
        _settings: &Self::Settings,
        _kept: &Value,
        _shelf: &Shelf<'_>,
    ) -> Result<(), GatewayError> {
        Ok(())
    }

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

    /// Adds what a process of the container gets from this gateway; called for each process that
    /// is started.
    fn grant(
        &self,
        _target: &Target<'_>,
        _settings: &Self::Settings,
        _process: &mut ProcessGrants,
    ) {
    }
}
