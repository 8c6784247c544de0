//! What can go wrong, and what it went wrong on.

use std::fmt;
use std::io;
use std::path::PathBuf;

/// One step that failed: what was attempted, on which path, and the kernel's answer.
#[derive(Debug)]
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

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "cannot {} {}: {}",
            self.action,
            self.path.display(),
            self.source
        )
    }
}

impl std::error::Error for Failure {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.source)
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
            write!(f, "{separator}{failure}")?;
        }
        match self.more {
            0 => Ok(()),
            more => write!(f, "; and {more} more"),
        }
    }
}

impl std::error::Error for SyncError {}

/// A write buffer could not be set up; nothing is left of it.
#[derive(Debug)]
#[non_exhaustive]
pub enum MountError {
    /// A step on a path failed.
    Step(Failure),
    /// The directory cannot be shown with the container's owners.
    Idmap {
        /// The directory of the host.
        host: PathBuf,
        /// Why mount_setattr(2) refused; EINVAL: its file system cannot be idmapped.
        source: io::Error,
    },
}

impl fmt::Display for MountError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            MountError::Step(failure) => failure.fmt(f),
            MountError::Idmap { host, source } => write!(
                f,
                "cannot map the owners of {} for the container: {source}",
                host.display()
            ),
        }
    }
}

impl std::error::Error for MountError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            MountError::Step(failure) => Some(failure),
            MountError::Idmap { source, .. } => Some(source),
        }
    }
}

impl From<Failure> for MountError {
    fn from(failure: Failure) -> MountError {
        MountError::Step(failure)
    }
}

/// The record beside an upper layer could not be used.
#[derive(Debug)]
#[non_exhaustive]
pub enum RecordError {
    /// It could not be read or written, or the host directory that it names could not be opened.
    Step(Failure),
    /// It is no record, or one of another version.
    Malformed {
        /// The record's path.
        path: PathBuf,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The path of the host directory now leads to another directory.
    Replaced {
        /// The path.
        host: PathBuf,
        /// The buffer that belonged to the directory that was there before.
        kept: PathBuf,
    },
}

impl fmt::Display for RecordError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RecordError::Step(failure) => failure.fmt(f),
            RecordError::Malformed { path, reason } => {
                write!(
                    f,
                    "{} is no valid record of a write buffer: {reason}",
                    path.display()
                )
            }
            RecordError::Replaced { host, kept } => write!(
                f,
                "{} is no longer the directory that the write buffer in {} belongs to",
                host.display(),
                kept.display()
            ),
        }
    }
}

impl std::error::Error for RecordError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            RecordError::Step(failure) => Some(failure),
            _ => None,
        }
    }
}

impl From<Failure> for RecordError {
    fn from(failure: Failure) -> RecordError {
        RecordError::Step(failure)
    }
}
