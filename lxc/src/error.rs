//! What went wrong in a call to liblxc.

use std::fmt;

/// The result of a call to liblxc.
pub type Result<T> = std::result::Result<T, Error>;

/// A failed call to liblxc: the call, the container, and what was passed.
///
/// liblxc reports most failures as a bare `false` and writes the reason to the log that
/// `lxc.log.file` names.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// A string for liblxc holds a NUL byte.
    Nul {
        /// The string, with the NUL shown as `\0`.
        text: String,
    },
    /// liblxc could not make a handle for the container.
    New {
        /// The container's name.
        name: String,
    },
    /// liblxc did not accept a configuration item.
    Config {
        /// The container's name.
        name: String,
        /// The configuration key.
        key: String,
        /// The value it was to have.
        value: String,
    },
    /// Another call returned failure.
    Call {
        /// The container's name.
        name: String,
        /// The call, as `lxccontainer.h` names it.
        call: &'static str,
        /// What liblxc says of it, if anything.
        reason: Option<String>,
    },
    /// A function that this liblxc does not have.
    Unsupported {
        /// The call, as `lxccontainer.h` names it.
        call: &'static str,
    },
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nul { text } => write!(f, "string for LXC with a NUL byte: {text:?}"),
            Self::New { name } => write!(f, "LXC could not set up a handle for container {name}"),
            Self::Config { name, key, value } => {
                write!(f, "LXC refused {key} = {value:?} for container {name}")
            }
            Self::Call { name, call, reason } => {
                write!(f, "LXC call {call} failed for container {name}")?;
                match reason {
                    Some(reason) => write!(f, ": {reason}"),
                    None => Ok(()),
                }
            }
            Self::Unsupported { call } => write!(f, "this liblxc has no call {call}"),
        }
    }
}

impl std::error::Error for Error {}
