//! What can go wrong, and what it went wrong on.

use std::{fmt, io, path::PathBuf};

use thiserror::Error;

/// One step that failed: what was attempted, on which path, and the kernel's answer.
#[derive(Debug, Error)]
#[error("cannot {action} {}", path.display())]
pub struct Failure {
    /// What was attempted, as a verb: "create", "write", "rename".
    pub action: &'static str,
    /// The path on the host that it was attempted on.
    pub path: PathBuf,
    /// Why it failed.
    pub source: io::Error,
}

impl Failure {
    pub(crate) fn new(
        action: &'static str,
        path: impl Into<PathBuf>,
        source: impl Into<io::Error>,
    ) -> Failure {
        Failure {
            action,
            path: path.into(),
            source: source.into(),
        }
    }
}

/// A write buffer was not, or not wholly, written to the host.
///
/// Nothing is lost: all that the container wrote is still in [`kept`](Self::kept), and a repeated
/// sync completes what this one could not do.
#[derive(Debug)]
pub struct SyncError {
    /// The directory of the host that the buffer belongs to.
    pub host: PathBuf,
    /// The upper layer, with everything that was to be written.
    pub kept: PathBuf,
    /// The first failures, in the order in which they happened; never empty.
    pub failures: Vec<Failure>,
    /// How many more failures there were.
    pub more: usize,
}

impl fmt::Display for SyncError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "the write buffer of {} was not written completely (its contents remain in {}): ",
            self.host.display(),
            self.kept.display()
        )?;
        for (index, failure) in self.failures.iter().enumerate() {
            let separator = if index == 0 { "" } else { "; " };
            write!(f, "{separator}{failure}: {}", failure.source)?;
        }
        match self.more {
            0 => Ok(()),
            more => write!(f, "; and {more} more"),
        }
    }
}

impl std::error::Error for SyncError {}

/// The record beside an upper layer could not be used.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum RecordError {
    /// It could not be read or written, or the host directory that it names could not be opened.
    #[error(transparent)]
    Step(#[from] Failure),
    /// It is no record, or one of another version.
    #[error("{} is no valid record of a write buffer: {reason}", path.display())]
    Malformed {
        /// The record's path.
        path: PathBuf,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The path of the host directory now leads to another directory.
    #[error(
        "{} is no longer the directory that the write buffer in {} belongs to",
        host.display(),
        kept.display()
    )]
    Replaced {
        /// The path.
        host: PathBuf,
        /// The buffer that belonged to the directory that was there before.
        kept: PathBuf,
    },
}
