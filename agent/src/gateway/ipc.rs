//! The ipc gateway: System V IPC and POSIX message queues with the host.
//!
//! There is nothing to do in the container: which namespace a process is in is decided when it is
//! started ([`crate::container::host_ipc`]).

use softwarecontainer_capability::gateway::ipc::IpcSettings;

use super::{Gateway, GatewayError, Target};

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
}
