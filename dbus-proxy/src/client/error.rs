//! What goes wrong with a proxy.

use std::{io, path::PathBuf};

/// Why a proxy does not do what it shall.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// It cannot be started.
    #[error("cannot start the D-Bus proxy {}", program.display())]
    Start {
        /// The executable.
        program: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// It did not take the new rules in time, and the old ones hold.
    #[error("the D-Bus proxy does not answer{}", suffix(last.as_deref()))]
    NoAnswer {
        /// What it said last, if anything.
        last: Option<String>,
    },
}

fn suffix(last: Option<&str>) -> String {
    last.map_or_else(String::new, |text| format!(": {text}"))
}
