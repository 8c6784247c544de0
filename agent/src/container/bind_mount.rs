//! BindMount: a path of the host, mounted in a running container.

use std::path::Path;

use super::{Container, ContainerError};
use crate::mounts::{BindError, HostSource};

impl Container {
    /// Mounts a host path in the container.
    ///
    /// # Errors
    /// [`ContainerError`] naming the path.
    pub fn bind_mount(
        &mut self,
        host: &Path,
        container: &Path,
        read_only: bool,
    ) -> Result<(), ContainerError> {
        self.require_ready("bind-mount")?;
        let mounts = self.mounts()?;
        HostSource::open(host, !read_only, None, mounts.paths)
            .map_err(BindError::from)
            .and_then(|source| mounts.bind(&source, container, read_only))
            .map(drop)
            .map_err(|source| ContainerError::BindMount {
                id: self.id,
                source: Box::new(source),
            })
    }
}
