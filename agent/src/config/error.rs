//! What can be wrong with the configuration.

use crate::keyfile::SyntaxError;
use std::fmt;
use std::io;
use std::path::PathBuf;

/// A configuration that the agent does not start with.
#[derive(Debug)]
#[non_exhaustive]
pub enum ConfigError {
    /// A file could not be read.
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A line is no key-file syntax.
    Syntax {
        /// The file.
        file: PathBuf,
        /// The line and what is wrong with it.
        error: SyntaxError,
    },
    /// No such group exists.
    UnknownGroup {
        /// The file.
        file: PathBuf,
        /// Line of the group, counted from 1.
        line: usize,
        /// The group.
        group: String,
    },
    /// No such key exists in the group.
    UnknownKey {
        /// The file.
        file: PathBuf,
        /// Line, counted from 1.
        line: usize,
        /// The group.
        group: String,
        /// The key.
        key: String,
    },
    /// A value cannot be used.
    Value {
        /// The file.
        file: PathBuf,
        /// Line, counted from 1; `None` when the value is a built-in default that does not fit to
        /// the other values.
        line: Option<usize>,
        /// The key, in group `[SoftwareContainer]`.
        key: &'static str,
        /// The value.
        value: String,
        /// Why, as the end of a sentence.
        why: String,
    },
}

/// The only group.
pub(super) const GROUP: &str = "SoftwareContainer";

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Read { path, source } => {
                write!(f, "{}: cannot be read: {source}", path.display())
            }
            Self::Syntax { file, error } => {
                write!(
                    f,
                    "{}:{}: the line {}",
                    file.display(),
                    error.line,
                    error.problem
                )
            }
            Self::UnknownGroup { file, line, group } => {
                write!(f, "{}:{line}: [{group}]: unknown group", file.display())
            }
            Self::UnknownKey {
                file,
                line,
                group,
                key,
            } => {
                write!(f, "{}:{line}: [{group}] {key}: unknown key", file.display())
            }
            Self::Value {
                file,
                line: Some(line),
                key,
                value,
                why,
            } => {
                write!(
                    f,
                    "{}:{line}: [{GROUP}] {key}: {value:?} {why}",
                    file.display()
                )
            }
            Self::Value {
                file,
                line: None,
                key,
                value,
                why,
            } => {
                write!(
                    f,
                    "{}: [{GROUP}] {key}: the default {value:?} {why}",
                    file.display()
                )
            }
        }
    }
}

impl std::error::Error for ConfigError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Read { source, .. } => Some(source),
            _ => None,
        }
    }
}
