//! Why a container has no network.

use crate::{
    addresses::AddressesUsedUp, bridge::BridgeError, firewall::FirewallError,
    namespace::NamespaceError, netlink::NetlinkError, sysctl::SysctlError,
};

/// Why a container cannot be connected, or not as it should be.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NetworkError {
    /// The bridge is not there.
    #[error(transparent)]
    Bridge(#[from] BridgeError),
    /// No address is left.
    #[error(transparent)]
    Addresses(#[from] AddressesUsedUp),
    /// The kernel refused.
    #[error(transparent)]
    Netlink(#[from] NetlinkError),
    /// The container's network namespace could not be entered.
    #[error(transparent)]
    Namespace(#[from] NamespaceError),
    /// A kernel setting of the container could not be set.
    #[error(transparent)]
    Setting(#[from] SysctlError),
    /// The firewall refused.
    #[error(transparent)]
    Firewall(#[from] FirewallError),
    /// An interface that was set up carries no packets.
    #[error("network interface {0} carries no packets: it has no carrier")]
    NoCarrier(String),
    /// What a container may call is beyond the host, which does not forward.
    #[error(
        "{0} is off, and whoever made bridge {1} has to switch it on: nothing beyond this host can be reached"
    )]
    NoForwarding(&'static str, String),
    /// The kernel cannot limit a container's rate.
    #[error(
        "egress-rate and ingress-rate need {option}, which the kernel lacks (as a module, {module} \
         has to be installed)"
    )]
    CannotShape {
        /// The option of its configuration.
        option: &'static str,
        /// The module.
        module: &'static str,
        /// What it refused.
        source: NetlinkError,
    },
    /// Something inside the container could not be set.
    #[error("in the container")]
    Inside(#[source] Box<NetworkError>),
}

impl NetworkError {
    /// Whether trying again makes no sense until somebody else has changed something.
    pub(crate) fn is_for_others_to_mend(&self) -> bool {
        matches!(
            self,
            Self::Bridge(
                BridgeError::Missing(_) | BridgeError::Down(_) | BridgeError::WrongAddress { .. }
            )
        )
    }
}
