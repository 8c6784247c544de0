//! What goes wrong with the bridge.

use crate::{
    firewall::FirewallError,
    netlink::{InterfaceAddress, NetlinkError},
    sysctl::SysctlError,
};

/// Why the bridge cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BridgeError {
    /// It does not exist and must not be made.
    #[error("bridge {0} does not exist, and the configuration says not to create it")]
    Missing(String),
    /// An interface of that name is something else.
    #[error("network interface {device} is no bridge but {}", kind.as_deref().unwrap_or("hardware or loopback"))]
    NotABridge {
        /// Its name.
        device: String,
        /// Its kind, if it has one.
        kind: Option<String>,
    },
    /// It belongs to somebody else and lacks the configured address.
    #[error(
        "bridge {device} exists without the configured address {wanted} (it has {})",
        list(has)
    )]
    WrongAddress {
        /// Its name.
        device: String,
        /// The configured address.
        wanted: InterfaceAddress,
        /// The addresses that it has.
        has: Vec<InterfaceAddress>,
    },
    /// It belongs to somebody else and is down.
    #[error("bridge {0} is down; whoever made it has to set it up")]
    Down(String),
    /// The kernel refused.
    #[error(transparent)]
    Netlink(#[from] NetlinkError),
    /// A kernel setting cannot be read or written.
    #[error(transparent)]
    Sysctl(#[from] SysctlError),
    /// The firewall refused.
    #[error(transparent)]
    Firewall(#[from] FirewallError),
}

fn list(addresses: &[InterfaceAddress]) -> String {
    if addresses.is_empty() {
        return "none".to_owned();
    }
    let texts: Vec<String> = addresses.iter().map(ToString::to_string).collect();
    texts.join(", ")
}
