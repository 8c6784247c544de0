//! BindMount: a path of the host, mounted in a running container.

use std::path::Path;

use super::{Container, ContainerError, facts::Mounted};
use crate::{
    host::credentials::Credentials,
    mounts::{BindError, HostSource},
};

impl Container {
    /// Mounts a host path in the container, with the rights that `caller` has to it.
    ///
    /// # Errors
    /// [`ContainerError`] naming the path.
    pub fn bind_mount(
        &mut self,
        host: &Path,
        container_path: &Path,
        read_only: bool,
        caller: Option<&Credentials>,
    ) -> Result<(), ContainerError> {
        self.require_ready("bind-mount")?;
        self.changing(|container| container.mount(host, container_path, read_only, caller))
    }

    fn mount(
        &self,
        host: &Path,
        container: &Path,
        read_only: bool,
        caller: Option<&Credentials>,
    ) -> Result<(), ContainerError> {
        let mounts = self.mounts();
        let read_only = HostSource::open_for(host, !read_only, caller, mounts.paths)
            .map_err(BindError::from)
            .map(|source| source.owned_by(self.file_owner))
            .and_then(|source| {
                let read_only = !source.is_writable();
                mounts.bind(&source, container, read_only)?;
                Ok(read_only)
            })
            .map_err(|source| ContainerError::BindMount {
                id: self.id,
                source: Box::new(source),
            })?;
        self.facts.mounted(Mounted {
            host: host.to_owned(),
            container: container.to_owned(),
            read_only,
        });
        Ok(())
    }
}
