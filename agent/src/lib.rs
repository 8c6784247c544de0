//! The SoftwareContainer agent: D-Bus service, container life cycle and gateways.
//!
//! Calls flow one way: bus → agent → container → gateway → mounts → host.

pub mod agent;
pub mod bus;
pub mod cli;
pub mod command_line;
pub mod config;
pub mod container;
pub mod daemon;
pub mod gateway;
pub mod host;
pub mod install;
pub mod keyfile;
pub mod logging;
pub mod mounts;
pub mod runtime;

pub use softwarecontainer_capability::error_chain;
