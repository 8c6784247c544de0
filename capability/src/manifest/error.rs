//! Why a manifest, or a place of manifests, cannot be used.

use std::{io, path::PathBuf};

use crate::json::Position;

/// A manifest, or a place of manifests, that cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ManifestError {
    /// A file or directory could not be read.
    #[error("{}: cannot be read", path.display())]
    Read {
        /// The file or directory.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The path is one that cannot hold manifests.
    #[error("{}: {why}", path.display())]
    Refused {
        /// The path.
        path: PathBuf,
        /// Why, as the end of a sentence.
        why: &'static str,
    },
    /// The file is larger than allowed.
    #[error("{}: is larger than the {limit} bytes of max-manifest-size", file.display())]
    TooLarge {
        /// The file.
        file: PathBuf,
        /// The most bytes.
        limit: u32,
    },
    /// A place of manifests that somebody has named cannot be used.
    #[error("{by}")]
    Named {
        /// Where it is named: an option, or file, line and key of the configuration.
        by: String,
        /// Why.
        source: Box<ManifestError>,
    },
    /// The file is no manifest.
    #[error(transparent)]
    Format(#[from] FormatError),
}

/// A file that is no JSON, or not the JSON of a manifest.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}:{position}: {message}", file.display())]
pub struct FormatError {
    /// The file.
    pub file: PathBuf,
    /// Where the JSON ends to be JSON, or where the wrong value, or the object that lacks a key,
    /// starts.
    pub position: Position,
    /// What is wrong, with the value or missing key, such as `capabilities[0].name: is missing`.
    pub message: String,
}
