//! What can go wrong when something is mounted in a container.

use std::{io, path::PathBuf};

use softwarecontainer_write_buffer::Failure;
use thiserror::Error;

use super::host_source::HostSourceError;
use crate::host::{
    container_path::ContainerPathError, mount::MountError, namespace::NamespaceError,
};

/// A file or directory of the host that could not be mounted in a container, or not be unmounted.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum BindError {
    /// The host path is not for apps.
    #[error(transparent)]
    Source(#[from] HostSourceError),
    /// A mount could not be made.
    #[error(transparent)]
    Mount(#[from] MountError),
    /// A path in the container could not be used.
    #[error(transparent)]
    Path(#[from] ContainerPathError),
    /// The container's namespaces could not be used.
    #[error(transparent)]
    Namespace(#[from] NamespaceError),
    /// A directory could not get a write buffer.
    #[error(transparent)]
    Buffer(#[from] Failure),
    /// The app could not write to it.
    #[error(
        "apps cannot write to {}: its file system has no ID-mapped mounts; mount it read-only, keep \
         it on another file system, let everybody write to it, or have apps be its owner (userID \
         and hostUserID of Create)",
        host.display()
    )]
    NotWritable {
        /// The file or directory.
        host: PathBuf,
        /// Why its owners cannot be mapped.
        source: io::Error,
    },
}
