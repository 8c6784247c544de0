//! What the agent's configuration says to gateways.

use std::{collections::BTreeMap, path::PathBuf};

use softwarecontainer_capability::place::Place;

/// What the agent's configuration says to gateways, for all containers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GatewaysConfig {
    /// Absolute path of the compositor's socket; `None`: the agent's environment tells.
    pub wayland_socket: Option<PathBuf>,
    /// Absolute paths of the sockets of further displays' compositors.
    pub wayland_displays: BTreeMap<Place, PathBuf>,
    /// Whether apps are registered with the compositor as what they are.
    pub wayland_security_context: SecurityContext,
    /// Absolute path of the sound server's socket; `None`: the agent's environment tells.
    pub pulse_socket: Option<PathBuf>,
    /// Absolute paths of the sockets of further zones' sound servers.
    pub pulse_zones: BTreeMap<Place, PathBuf>,
    /// Absolute path of PipeWire's socket; `None`: the agent's environment tells.
    pub pipewire_socket: Option<PathBuf>,
    /// Absolute paths of PipeWire's sockets in further zones.
    pub pipewire_zones: BTreeMap<Place, PathBuf>,
    /// Connections of one container to the host's buses.
    pub bus_connections: u32,
    /// Calls of one of these connections that may wait for their replies, in each direction.
    pub bus_calls: u32,
}

/// Whether the compositor is told, by the protocol security-context-v1, which connections are those
/// of a container, so that it can keep from apps what is not for them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum SecurityContext {
    /// Where the compositor has the protocol.
    #[default]
    Auto,
    /// Always; without it there is no Wayland in containers.
    Required,
    /// Never.
    Off,
}

impl Default for GatewaysConfig {
    fn default() -> Self {
        Self {
            wayland_socket: None,
            wayland_displays: BTreeMap::new(),
            wayland_security_context: SecurityContext::default(),
            pulse_socket: None,
            pulse_zones: BTreeMap::new(),
            pipewire_socket: None,
            pipewire_zones: BTreeMap::new(),
            bus_connections: 32,
            bus_calls: 128,
        }
    }
}
