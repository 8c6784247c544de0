//! The SoftwareContainer agent: D-Bus service, container life cycle and gateways.
//!
//! Calls flow one way: bus → agent → container → gateway → host.

pub mod gateway;
pub mod host;
