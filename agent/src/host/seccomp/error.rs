//! Why there is no filter.

use std::{io, path::PathBuf};

use libseccomp::error::SeccompError;
use thiserror::Error;

/// Why there is no filter.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum FilterError {
    /// libseccomp refused something.
    #[error("cannot make a filter of system calls{}", .call.as_deref().map(|it| format!(" with {it}")).unwrap_or_default())]
    Compile {
        /// The system call that was at hand, if one was.
        call: Option<String>,
        /// Why.
        source: SeccompError,
    },
    /// The program could not be taken from libseccomp.
    #[error("cannot take a filter of system calls from libseccomp")]
    Export(#[source] io::Error),
    /// A file about system calls could not be read.
    #[error("cannot read {}", .path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The profile for LXC could not be written.
    #[error("cannot write {}", .path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}
