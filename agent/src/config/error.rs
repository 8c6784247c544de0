//! What can be wrong with the configuration.

use crate::keyfile::SyntaxError;
use std::{io, path::PathBuf};

/// A configuration that the agent does not start with.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// A file could not be read.
    #[error("{}: cannot be read", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file that a key names cannot be used.
    #[error("{place}")]
    Named {
        /// File, line, group and key.
        place: String,
        /// Why.
        source: Box<ConfigError>,
    },
    /// A line is no key-file syntax.
    #[error("{}:{}: the line {}", file.display(), error.line, error.problem)]
    Syntax {
        /// The file.
        file: PathBuf,
        /// The line and what is wrong with it.
        error: SyntaxError,
    },
    /// No such group exists.
    #[error("{}:{line}: [{group}]: unknown group; all keys are in [{GROUP}]", file.display())]
    UnknownGroup {
        /// The file.
        file: PathBuf,
        /// Line of the group, counted from 1.
        line: usize,
        /// The group.
        group: String,
    },
    /// No such key exists in the group.
    #[error("{}:{line}: [{group}] {key}: unknown key{suggestion}", file.display())]
    UnknownKey {
        /// The file.
        file: PathBuf,
        /// Line, counted from 1.
        line: usize,
        /// The group.
        group: String,
        /// The key.
        key: String,
        /// `; did you mean "…"?`, or nothing.
        suggestion: String,
    },
    /// A value cannot be used.
    #[error("{}:{line}: [{GROUP}] {key}: {value:?} {why}", file.display())]
    Value {
        /// The file.
        file: PathBuf,
        /// Line, counted from 1.
        line: usize,
        /// The key, in group `[SoftwareContainer]`.
        key: String,
        /// The value.
        value: String,
        /// Why, as the end of a sentence.
        why: String,
    },
    /// A built-in default does not fit to the values of the file.
    #[error("{}: [{GROUP}] {key}: the default {value:?} {why}", file.display())]
    Default {
        /// The file.
        file: PathBuf,
        /// The key, in group `[SoftwareContainer]`.
        key: &'static str,
        /// The default.
        value: String,
        /// Why, as the end of a sentence.
        why: String,
    },
}

/// The only group.
pub(super) const GROUP: &str = "SoftwareContainer";
