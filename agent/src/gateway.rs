//! Gateways: what a capability opens between a container and its host.
//!
//! What a gateway accepts is parsed and merged in the `capability` crate; each module here applies
//! it to a container.
//!
//! A new gateway is a feature in the two `Cargo.toml` files, a module with its `Settings` and one
//! line in the list of `capability/src/gateway.rs`, a module with its [`Gateway`] here, and one
//! line in the list of `gateway/all.rs`, whose order is that of activation. An error of its own
//! gets a variant in `gateway/error.rs`.

mod all;
#[cfg(feature = "gateway-cgroups")]
pub mod cgroups;
mod config;
mod contract;
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
#[cfg(feature = "gateway-pipewire")]
mod pipewire;
#[cfg(any(
    feature = "gateway-pipewire",
    feature = "gateway-pulseaudio",
    feature = "gateway-wayland"
))]
mod places;
#[cfg(feature = "gateway-privileges")]
pub mod privileges;
#[cfg(feature = "gateway-pulseaudio")]
mod pulseaudio;
mod refused;
#[cfg(any(feature = "gateway-pipewire", feature = "gateway-wayland"))]
mod security_context;
#[cfg(any(
    feature = "gateway-pipewire",
    feature = "gateway-pulseaudio",
    feature = "gateway-wayland"
))]
mod server_socket;
mod target;
#[cfg(feature = "gateway-wayland")]
mod wayland;

pub use all::Gateways;
pub use config::{GatewaysConfig, SecurityContext};
pub use contract::{Gateway, ProcessGrants};
pub use error::{Cause, GatewayError};
pub use refused::Refused;
pub use target::Target;
