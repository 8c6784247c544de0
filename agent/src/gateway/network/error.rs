//! Why a container's network is not as its capabilities say.

use softwarecontainer_network::{
    NetworkError, iptables::FirewallError, namespace::NamespaceError, netlink::NetlinkError,
    sysctl::SysctlError,
};

use super::names::UnknownHost;

/// Why a container's network is not as its capabilities say.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NetworkGatewayError {
    /// A host name in a rule has no address.
    #[error(transparent)]
    Name(#[from] UnknownHost),
    /// The host's side cannot be set.
    #[error(transparent)]
    Host(#[from] NetworkError),
    /// The container's interface cannot be set.
    #[error("in the container")]
    Interface(#[from] NetlinkError),
    /// A kernel setting of the container cannot be set.
    #[error("in the container")]
    Setting(#[from] SysctlError),
    /// The container's firewall cannot be set.
    #[error("in the container")]
    Firewall(#[from] FirewallError),
    /// The container's network namespace cannot be entered.
    #[error(transparent)]
    Namespace(#[from] NamespaceError),
}
