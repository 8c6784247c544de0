//! Gateways: what a capability opens between a container and its host.

pub mod network;
