//! Gateways: what a capability opens between a container and its host.
