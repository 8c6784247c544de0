//! Why a file of the host is not, or not as it is now, in containers.

use std::{io, path::PathBuf};

/// Why a copy could not be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HostFilesError {
    /// Changes would not be seen.
    #[error("cannot watch the host's files")]
    Watch(#[source] io::Error),
    /// A file or directory of the host could not be read.
    #[error("cannot copy {} for containers", path.display())]
    Read {
        /// The file or directory.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The copy could not be written.
    #[error("cannot write {}", path.display())]
    Write {
        /// The copy.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// There is too much to copy.
    #[error("{} holds more than is copied for containers, {limit} bytes or files", path.display())]
    TooMuch {
        /// Where it became too much.
        path: PathBuf,
        /// How much is copied.
        limit: u64,
    },
}
