//! The ipc gateway: System V IPC and POSIX message queues with the host.
//!
//! There is nothing to do in the container: which namespace a process is in is decided when it is
//! started ([`crate::container::host_ipc`]).

use serde_json::Value;
use softwarecontainer_capability::gateway::ipc::IpcSettings;

use super::{
    contract::{Gateway, ProcessGrants},
    error::GatewayError,
    target::Target,
};
use crate::host::descriptor_store::Shelf;

/// The ipc gateway of one container.
#[derive(Debug, Default)]
pub struct Ipc;

impl Gateway for Ipc {
    type Settings = IpcSettings;

    fn change(
        &mut self,
        _target: &Target<'_>,
        _from: &IpcSettings,
        _to: &IpcSettings,
    ) -> Result<(), GatewayError> {
        Ok(())
    }

    fn keep(&mut self, _: &Shelf<'_>) -> Option<Value> {
        Some(Value::Null)
    }

    fn grant(&self, _target: &Target<'_>, settings: &IpcSettings, process: &mut ProcessGrants) {
        process.host_ipc = settings.host;
    }
}
