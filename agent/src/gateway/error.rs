//! What can go wrong when a gateway is applied.

use std::{fmt, io, path::PathBuf};

use crate::host::{
    allowed_path::AllowedPathError, container_path::ContainerPathError, mount::MountError,
    namespace::NamespaceError,
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
    /// The host path is not for apps.
    HostPath(AllowedPathError),
    /// A mount could not be made.
    Mount(MountError),
    /// A path in the container could not be used.
    Path(ContainerPathError),
    /// The container's namespaces could not be used.
    Namespace(NamespaceError),
    /// liblxc refused something.
    Lxc(softwarecontainer_lxc::Error),
    /// A directory could not get a write buffer.
    Buffer(softwarecontainer_write_buffer::MountError),
    /// An earlier write buffer of the directory is not written to the host yet.
    Unwritten {
        /// The directory.
        host: PathBuf,
        /// Where the buffer is.
        place: PathBuf,
    },
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
            Self::HostPath(error) => error.fmt(f),
            Self::Mount(error) => error.fmt(f),
            Self::Path(error) => error.fmt(f),
            Self::Namespace(error) => error.fmt(f),
            Self::Unwritten { host, place } => write!(
                f,
                "{} gets no write buffer as long as an earlier one, in {}, could not be written there: destroy its container again, or restart the agent",
                host.display(),
                place.display()
            ),
            Self::Lxc(error) => error.fmt(f),
            Self::Buffer(error) => error.fmt(f),
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

impl From<AllowedPathError> for Cause {
    fn from(error: AllowedPathError) -> Self {
        Self::HostPath(error)
    }
}

impl From<MountError> for Cause {
    fn from(error: MountError) -> Self {
        Self::Mount(error)
    }
}

impl From<ContainerPathError> for Cause {
    fn from(error: ContainerPathError) -> Self {
        Self::Path(error)
    }
}

impl From<NamespaceError> for Cause {
    fn from(error: NamespaceError) -> Self {
        Self::Namespace(error)
    }
}

impl From<softwarecontainer_write_buffer::MountError> for Cause {
    fn from(error: softwarecontainer_write_buffer::MountError) -> Self {
        Self::Buffer(error)
    }
}

impl From<softwarecontainer_lxc::Error> for Cause {
    fn from(error: softwarecontainer_lxc::Error) -> Self {
        Self::Lxc(error)
    }
}
