//! The containers' network: the bridge that connects them, what is set up for each of them on the
//! host and inside, and the rules for what may pass.
//!
//! The crate knows nothing of manifests, containers' processes or the bus: it is given addresses,
//! permissions and network namespaces.

mod addresses;
mod bridge;
mod conntrack;
mod container;
mod error;
mod firewall;
mod frame_filter;
pub mod host_names;
mod late;
mod left_behind;
mod limits;
pub mod name_servers;
pub mod namespace;
mod netlink;
mod network;
mod nfnetlink;
mod overlap;
mod permission;
mod port;
mod ports;
mod rate_limits;
mod refusals;
mod settings;
mod shaping;
mod subnet;
mod surroundings;
mod sysctl;
pub mod thread;
mod upkeep;
pub mod wait;
mod watch;

pub use addresses::{AddressesUsedUp, ContainerAddresses};
pub use bridge::{Bridge, BridgeError};
pub use container::{Connection, rule_counts};
pub use error::NetworkError;
pub use firewall::{
    Backend, Classified, Family, FirewallError, HostFirewall, RuleCount, UnknownBackend,
};
pub use late::LateNetwork;
pub use limits::{ConnectionSettings, warn_if_too_many};
pub use netlink::{InterfaceAddress, MacAddress, Netlink, NetlinkError};
pub use network::Network;
pub use nfnetlink::NfnetlinkError;
pub use permission::{Peer, Permission};
pub use port::Port;
pub use rate_limits::RateLimits;
pub use refusals::log_refused_packets;
pub use settings::BridgeSettings;
pub use subnet::Subnet;
pub use sysctl::SysctlError;
pub use watch::{Changes, WatchError};
