//! What the agent's configuration says to gateways.

use std::path::PathBuf;

/// What the agent's configuration says to gateways, for all containers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GatewaysConfig {
    /// Absolute path of the compositor's socket; `None`: the agent's environment tells.
    pub wayland_socket: Option<PathBuf>,
    /// Absolute path of the sound server's socket; `None`: the agent's environment tells.
    pub pulse_socket: Option<PathBuf>,
    /// Connections of one container to the host's buses.
    pub bus_connections: u32,
    /// Calls of one of these connections that may wait for their replies, in each direction.
    pub bus_calls: u32,
}

impl Default for GatewaysConfig {
    fn default() -> Self {
        Self {
            wayland_socket: None,
            pulse_socket: None,
            bus_connections: 32,
            bus_calls: 128,
        }
    }
}
