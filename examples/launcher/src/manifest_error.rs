//! What is wrong with an app manifest.

use serde_json::Value;
use thiserror::Error;

/// What is wrong with a manifest.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ManifestError {
    /// Somebody else than root and the caller could have written it.
    #[error("others could have written it (owner {owner}, mode {mode:o})")]
    Writable {
        /// The file's user.
        owner: u32,
        /// Its permissions.
        mode: u32,
    },
    /// It is no JSON.
    #[error("no JSON")]
    Syntax(#[source] serde_json::Error),
    /// It is JSON, but no object.
    #[error("the manifest is no object")]
    NoObject,
    /// A key that must be there is not.
    #[error("{place}\"{key}\" is missing")]
    Missing {
        /// What lacks it, if that is not the manifest itself.
        place: &'static str,
        /// The key.
        key: &'static str,
    },
    /// A key has a value that cannot be used.
    #[error("\"{key}\" must be {expected}, but is {found}")]
    Value {
        /// The key.
        key: String,
        /// What is needed, with its article.
        expected: &'static str,
        /// The value.
        found: Value,
    },
    /// A key that means nothing.
    #[error("unknown key \"{0}\"")]
    Unknown(String),
}
