//! Gateways: what a capability opens between a container and its host.

#[cfg(feature = "gateway-network")]
pub mod network;
