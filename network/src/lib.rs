//! The containers' network: the bridge that connects them, what is set up for each of them on the
//! host and inside, and the rules for what may pass.
//!
//! The crate knows nothing of manifests, containers' processes or the bus: it is given addresses,
//! rules and network namespaces.

pub mod addresses;
pub mod bridge;
pub mod frame_filter;
pub mod host_names;
pub mod iptables;
pub mod name_servers;
pub mod namespace;
pub mod netlink;
mod network;
pub mod nftables;
mod settings;
pub mod sysctl;
mod traffic_class;
mod wait;

pub use network::{INTERFACE, LateNetwork, Network, NetworkError, Port, START_LIMIT};
pub use settings::BridgeSettings;
pub use traffic_class::TrafficClass;
