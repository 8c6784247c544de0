//! What can go wrong when a gateway is applied.

use std::{io, path::PathBuf};

#[cfg(feature = "gateway-cgroups")]
use super::cgroups::error::CgroupsGatewayError;
#[cfg(feature = "gateway-network")]
use super::network::error::NetworkGatewayError;
#[cfg(feature = "gateway-privileges")]
use super::privileges::error::PrivilegesError;
use crate::host::{
    allowed_path::AllowedPathError, container_path::ContainerPathError, mount::MountError,
    namespace::NamespaceError,
};

/// A gateway that could not apply its configuration.
#[derive(Debug, thiserror::Error)]
#[error("gateway {gateway}")]
pub struct GatewayError {
    /// The gateway's ID.
    pub gateway: &'static str,
    /// What failed.
    #[source]
    pub cause: Cause,
}

/// What failed in a gateway.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Cause {
    /// The host path is not for apps.
    #[error(transparent)]
    HostPath(#[from] AllowedPathError),
    /// A mount could not be made.
    #[error(transparent)]
    Mount(#[from] MountError),
    /// A path in the container could not be used.
    #[error(transparent)]
    Path(#[from] ContainerPathError),
    /// The container's namespaces could not be used.
    #[error(transparent)]
    Namespace(#[from] NamespaceError),
    /// liblxc refused something.
    #[error(transparent)]
    Lxc(#[from] softwarecontainer_lxc::Error),
    /// A directory could not get a write buffer.
    #[error(transparent)]
    Buffer(#[from] softwarecontainer_write_buffer::MountError),
    /// An earlier write buffer of the directory is not written to the host yet.
    #[error(
        "{} gets no write buffer as long as an earlier one, in {}, could not be written there: \
         destroy its container again, or restart the agent",
        host.display(),
        place.display()
    )]
    Unwritten {
        /// The directory.
        host: PathBuf,
        /// Where the buffer is.
        place: PathBuf,
    },
    /// An operation on a host file failed.
    #[error("cannot {action} {}", path.display())]
    File {
        /// What was attempted, as a verb.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The container's network could not be set.
    #[cfg(feature = "gateway-network")]
    #[error(transparent)]
    Network(#[from] Box<NetworkGatewayError>),
    /// The container's limits could not be set.
    #[cfg(feature = "gateway-cgroups")]
    #[error(transparent)]
    Cgroups(#[from] Box<CgroupsGatewayError>),
    /// The container's apps cannot have what its manifests name.
    #[cfg(feature = "gateway-privileges")]
    #[error(transparent)]
    Privileges(#[from] Box<PrivilegesError>),
    /// Something else, in words.
    #[error("{0}")]
    Other(String),
}

impl GatewayError {
    /// An error of gateway `gateway`.
    pub fn new(gateway: &'static str, cause: impl Into<Cause>) -> Self {
        Self {
            gateway,
            cause: cause.into(),
        }
    }
}
