//! Gateways: what a capability opens between a container and its host.

#[cfg(feature = "gateway-cgroups")]
pub mod cgroups;
#[cfg(feature = "gateway-network")]
pub mod network;
