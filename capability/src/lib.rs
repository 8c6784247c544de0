//! Capabilities: service manifests, and the pure half (parse and merge) of every gateway.

pub mod gateway;
