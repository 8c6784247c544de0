//! Why a container's network is not as its capabilities say.

use softwarecontainer_network::NetworkError;

use super::names::UnknownHost;

/// Why a container's network is not as its capabilities say.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NetworkGatewayError {
    /// A host name in a rule has no address.
    #[error(transparent)]
    Name(#[from] UnknownHost),
    /// The network cannot be set.
    #[error(transparent)]
    Network(#[from] NetworkError),
}
