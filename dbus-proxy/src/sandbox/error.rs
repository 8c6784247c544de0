//! Steps that fail.

use rustix::io::Errno;

/// A step that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("sandbox: {step}")]
pub struct SandboxError {
    step: &'static str,
    source: Errno,
}

/// The error of a step, by its name.
pub(super) fn step<T>(step: &'static str, result: Result<T, Errno>) -> Result<T, SandboxError> {
    result.map_err(|source| SandboxError { step, source })
}
