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

impl Failure {
    /// Whether the host cannot hold what was to be written, because of what it is: too large, too
    /// long, too deep, or of a kind that the file system does not have. To try again is no use.
    /// Everything else is the host's fault, and may go.
    #[must_use]
    pub fn is_unrepresentable(&self) -> bool {
        matches!(
            self.source.raw_os_error(),
            Some(
                libc::E2BIG
                    | libc::EFBIG
                    | libc::EINVAL
                    | libc::ENAMETOOLONG
                    | libc::EOVERFLOW
                    | libc::ERANGE
            )
        )
    }
}

impl Failure {
    /// Whether there was no room for it.
    pub(crate) fn is_for_want_of_room(&self) -> bool {
        matches!(
            self.source.raw_os_error(),
            Some(libc::ENOSPC | libc::EDQUOT)
        )
    }
}

/// What was left out because the host cannot hold it; the rest was written.
#[derive(Debug, Default)]
#[must_use = "somebody has to hear of it"]
pub struct LeftOut {
    /// The first entries, with what was attempted and the reason.
    pub first: Vec<Failure>,
    /// How many more there were.
    pub more: usize,
}

impl fmt::Display for LeftOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        list(f, &self.first, self.more)
    }
}

fn list(f: &mut fmt::Formatter<'_>, first: &[Failure], more: usize) -> fmt::Result {
    for (index, failure) in first.iter().enumerate() {
        let separator = if index == 0 { "" } else { "; " };
        write!(f, "{separator}{failure}: {}", failure.source)?;
    }
    match more {
        0 => Ok(()),
        more => write!(f, "; and {more} more"),
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
        list(f, &self.failures, self.more)
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
