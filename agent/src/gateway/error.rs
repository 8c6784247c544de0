//! What can go wrong when a gateway is applied.

use std::{io, path::PathBuf};

#[cfg(feature = "gateway-cgroups")]
use super::cgroups::error::CgroupsGatewayError;
#[cfg(feature = "gateway-privileges")]
use super::privileges::error::PrivilegesError;
#[cfg(any(feature = "gateway-pipewire", feature = "gateway-wayland"))]
use super::security_context::ContextError;
use crate::{
    host::{mount::MountError, namespace::NamespaceError},
    mounts::BindError,
};
#[cfg(feature = "gateway-network")]
use softwarecontainer_network::NetworkError;

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
    /// Something could not be mounted in the container, or not be unmounted.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// liblxc refused something.
    #[error(transparent)]
    Lxc(#[from] softwarecontainer_lxc::Error),
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
    Network(#[from] Box<NetworkError>),
    /// The container's limits could not be set.
    #[cfg(feature = "gateway-cgroups")]
    #[error(transparent)]
    Cgroups(#[from] Box<CgroupsGatewayError>),
    /// The container's apps cannot have what its manifests name.
    #[cfg(feature = "gateway-privileges")]
    #[error(transparent)]
    Privileges(#[from] Box<PrivilegesError>),
    /// The compositor could not be told of the container.
    #[cfg(feature = "gateway-wayland")]
    #[error("cannot register the container with the compositor")]
    Wayland(#[source] Box<ContextError>),
    /// PipeWire could not be told of the container.
    #[cfg(feature = "gateway-pipewire")]
    #[error("cannot register the container with PipeWire")]
    PipeWire(#[source] Box<ContextError>),
    /// What an earlier agent has kept says nothing.
    #[error("cannot read what the earlier agent has kept")]
    Kept(#[source] serde_json::Error),
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

impl From<MountError> for Cause {
    fn from(error: MountError) -> Self {
        Self::Bind(error.into())
    }
}

impl From<NamespaceError> for Cause {
    fn from(error: NamespaceError) -> Self {
        Self::Bind(error.into())
    }
}
