//! Host directories that every container sees read-only.

use std::path::{Path, PathBuf};

/// A host directory that every container sees read-only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SystemMount {
    /// Its path on the host.
    pub host: PathBuf,
    /// Its path in containers, absolute.
    pub inside: PathBuf,
}

impl SystemMount {
    /// A directory that containers see where the host has it.
    pub fn at_its_own_place(directory: PathBuf) -> Self {
        Self {
            inside: directory.clone(),
            host: directory,
        }
    }

    /// Whether containers see a path of the host under the same path.
    pub fn shows(&self, host: &Path) -> bool {
        self.host == self.inside && host.starts_with(&self.host)
    }
}
