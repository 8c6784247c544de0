//! Kernel settings below `/proc/sys`; those of `net` are the calling thread's network namespace's.

use std::{fs, io};

/// A kernel setting that could not be read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SysctlError {
    /// open(2) or read(2) failed.
    #[error("cannot read {path}")]
    Read {
        /// The file.
        path: String,
        /// Why.
        source: io::Error,
    },
    /// open(2) or write(2) failed.
    #[error("cannot write {value:?} to {path}")]
    Write {
        /// The file.
        path: String,
        /// What was to be written.
        value: String,
        /// Why.
        source: io::Error,
    },
}

fn path(name: &str) -> String {
    format!("/proc/sys/{name}")
}

/// Whether the running kernel has the setting, such as `net/ipv4/ip_forward`.
#[must_use]
pub fn exists(name: &str) -> bool {
    fs::exists(path(name)).unwrap_or(false)
}

/// Reads a setting, without the line end.
///
/// # Errors
/// [`SysctlError`], source open(2) or read(2).
pub fn read(name: &str) -> Result<String, SysctlError> {
    let path = path(name);
    match fs::read_to_string(&path) {
        Ok(text) => Ok(text.trim_end().to_owned()),
        Err(source) => Err(SysctlError::Read { path, source }),
    }
}

/// Writes a setting.
///
/// # Errors
/// [`SysctlError`], source open(2) or write(2).
pub fn write(name: &str, value: &str) -> Result<(), SysctlError> {
    let path = path(name);
    fs::write(&path, value).map_err(|source| SysctlError::Write {
        path,
        value: value.to_owned(),
        source,
    })
}
