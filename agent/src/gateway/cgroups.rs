//! Cgroups gateway: limits and shares of a container, and the class of its network packets.

mod files;
mod plan;

use std::fmt;

use softwarecontainer_capability::gateway::{Settings as _, cgroups::CgroupsSettings};

use super::{Gateway, GatewayError, Target};
use crate::host::cgroup::{CgroupError, Cgroups};
use crate::host::network::{Network, NetworkError};
use files::Files;
pub use plan::PlanError;

/// Why a container's cgroup is not as its capabilities say.
#[derive(Debug)]
#[non_exhaustive]
pub enum CgroupsGatewayError {
    /// The settings do not go together.
    Plan(PlanError),
    /// A file of the cgroup.
    Cgroup(CgroupError),
    /// The container's packets cannot be classified.
    Class(NetworkError),
}

impl fmt::Display for CgroupsGatewayError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Plan(source) => source.fmt(f),
            Self::Cgroup(source) => source.fmt(f),
            Self::Class(source) => write!(f, "cannot classify the container's packets: {source}"),
        }
    }
}

impl std::error::Error for CgroupsGatewayError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Plan(source) => Some(source),
            Self::Cgroup(source) => Some(source),
            Self::Class(source) => Some(source),
        }
    }
}

impl From<PlanError> for CgroupsGatewayError {
    fn from(source: PlanError) -> Self {
        Self::Plan(source)
    }
}

impl From<CgroupError> for CgroupsGatewayError {
    fn from(source: CgroupError) -> Self {
        Self::Cgroup(source)
    }
}

/// What the gateway has done to one container.
#[derive(Clone, Debug, Default)]
pub struct Limits {
    files: Files,
}

impl Limits {
    /// Makes the cgroup of container `id`, in which process `init` is, as `settings` say. On a failure it is left as it was.
    ///
    /// # Errors
    /// [`CgroupsGatewayError`].
    pub fn set(
        &mut self,
        network: &Network,
        id: i32,
        init: u32,
        settings: &CgroupsSettings,
    ) -> Result<(), CgroupsGatewayError> {
        if settings.values.is_empty() && self.files.is_empty() && network.class(id).is_none() {
            return Ok(());
        }
        let cgroups = Cgroups::of_process(init)?;
        let writes = plan::plan(settings, |controller| cgroups.version(controller))?;
        let before = self.files.clone();
        self.files.change(&cgroups, writes)?;
        if let Err(error) = network.set_class(id, settings.class()) {
            if let Err(undo) = self.files.restore(&before) {
                log::warn!("container {id}: while taking back a change of its limits, {undo}");
            }
            return Err(CgroupsGatewayError::Class(error));
        }
        Ok(())
    }
}

impl Gateway for Limits {
    type Settings = CgroupsSettings;

    fn change(
        &mut self,
        target: &Target<'_>,
        _from: &CgroupsSettings,
        to: &CgroupsSettings,
    ) -> Result<(), GatewayError> {
        self.set(target.network, target.id, target.init, to)
            .map_err(|error| GatewayError::new(CgroupsSettings::ID, error))
    }
}
