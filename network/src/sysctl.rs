//! Kernel settings below `/proc/sys`; those of `net` are the calling thread's network namespace's.

use std::fmt;
use std::fs;
use std::io;

/// A kernel setting that could not be read or written.
#[derive(Debug)]
pub struct SysctlError {
    path: String,
    wanted: Option<String>,
    source: io::Error,
}

impl fmt::Display for SysctlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.wanted {
            Some(value) => write!(
                f,
                "cannot write {value:?} to {}: {}",
                self.path, self.source
            ),
            None => write!(f, "cannot read {}: {}", self.path, self.source),
        }
    }
}

impl std::error::Error for SysctlError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.source)
    }
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
        Err(source) => Err(SysctlError {
            path,
            wanted: None,
            source,
        }),
    }
}

/// Writes a setting.
///
/// # Errors
/// [`SysctlError`], source open(2) or write(2).
pub fn write(name: &str, value: &str) -> Result<(), SysctlError> {
    let path = path(name);
    fs::write(&path, value).map_err(|source| SysctlError {
        path,
        wanted: Some(value.to_owned()),
        source,
    })
}
