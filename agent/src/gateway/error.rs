//! What can go wrong when a gateway is applied.

use std::{fmt, io, path::PathBuf};

use crate::{
    error_chain::Chain,
    host::{mount::MountError, namespace::NamespaceError},
    mounts::BindError,
};

/// A gateway that could not apply its configuration.
#[derive(Debug)]
pub struct GatewayError {
    /// The gateway's ID.
    pub gateway: &'static str,
    /// What failed.
    pub cause: Cause,
}

/// What failed in a gateway.
#[derive(Debug)]
#[non_exhaustive]
pub enum Cause {
    /// Something could not be mounted in the container, or not be unmounted.
    Bind(BindError),
    /// liblxc refused something.
    Lxc(softwarecontainer_lxc::Error),
    /// An operation on a host file failed.
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
    Network(Box<super::network::NetworkGatewayError>),
    /// The container's limits could not be set.
    #[cfg(feature = "gateway-cgroups")]
    Cgroups(Box<super::cgroups::CgroupsGatewayError>),
    /// The container's apps cannot have what its manifests name.
    #[cfg(feature = "gateway-privileges")]
    Privileges(Box<super::privileges::PrivilegesError>),
    /// Something else, in words.
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

impl fmt::Display for GatewayError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "gateway {}: {}", self.gateway, self.cause)
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bind(error) => Chain(error).fmt(f),
            Self::Lxc(error) => error.fmt(f),
            Self::File {
                action,
                path,
                source,
            } => write!(f, "cannot {action} {}: {source}", path.display()),
            #[cfg(feature = "gateway-network")]
            Self::Network(error) => error.fmt(f),
            #[cfg(feature = "gateway-cgroups")]
            Self::Cgroups(error) => error.fmt(f),
            #[cfg(feature = "gateway-privileges")]
            Self::Privileges(error) => error.fmt(f),
            Self::Other(text) => f.write_str(text),
        }
    }
}

impl std::error::Error for GatewayError {}

#[cfg(feature = "gateway-network")]
impl From<super::network::NetworkGatewayError> for Cause {
    fn from(error: super::network::NetworkGatewayError) -> Self {
        Self::Network(Box::new(error))
    }
}

#[cfg(feature = "gateway-cgroups")]
impl From<super::cgroups::CgroupsGatewayError> for Cause {
    fn from(error: super::cgroups::CgroupsGatewayError) -> Self {
        Self::Cgroups(Box::new(error))
    }
}

impl From<BindError> for Cause {
    fn from(error: BindError) -> Self {
        Self::Bind(error)
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

impl From<softwarecontainer_lxc::Error> for Cause {
    fn from(error: softwarecontainer_lxc::Error) -> Self {
        Self::Lxc(error)
    }
}
