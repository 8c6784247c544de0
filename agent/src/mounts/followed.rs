//! Which directories of the host a container has whose mounts are followed, and what is shown.

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{Mutex, MutexGuard, PoisonError},
};

use serde::{Deserialize, Serialize};

use crate::host::{container_path::Attached, mount::MountId};

/// The directories of one container whose mounts are followed.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Submounts(Mutex<Vec<Tree>>);

/// A directory, and what is shown of the mounts in it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Tree {
    pub(super) source: PathBuf,
    pub(super) read_only: bool,
    pub(super) owner: Option<(u32, u32)>,
    pub(super) top: Attached,
    /// By the path below the source.
    pub(super) below: BTreeMap<PathBuf, Below>,
}

/// One of these mounts.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Below {
    pub(super) on_host: MountId,
    /// `None` for what could not be shown, which is not tried again.
    pub(super) attached: Option<Attached>,
    /// The number of its write buffer, if it has one.
    pub(super) buffer: Option<u32>,
}

impl Submounts {
    pub(super) fn all(&self) -> MutexGuard<'_, Vec<Tree>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is followed now.
    #[must_use]
    pub fn copy(&self) -> Self {
        Self(Mutex::new(self.all().clone()))
    }

    /// A directory is no longer mounted.
    pub(super) fn remove(&self, top: &Attached) {
        self.all().retain(|tree| tree.top != *top);
    }
}
