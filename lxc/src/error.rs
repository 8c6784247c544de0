//! What went wrong in a call to liblxc.

use thiserror::Error;

/// The result of a call to liblxc.
pub type Result<T> = std::result::Result<T, Error>;

/// A failed call to liblxc: the call, the container, and what was passed.
///
/// liblxc reports most failures as a bare `false` and writes the reason to the log that
/// `lxc.log.file` names.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Error {
    /// A string for liblxc holds a NUL byte.
    #[error("string for LXC with a NUL byte: {text:?}")]
    Nul {
        /// The string, with the NUL shown as `\0`.
        text: String,
    },
    /// liblxc could not make a handle for the container.
    #[error("LXC could not set up a handle for container {name}")]
    New {
        /// The container's name.
        name: String,
    },
    /// liblxc did not accept a configuration item.
    #[error("LXC refused {key} = {value:?} for container {name}")]
    Config {
        /// The container's name.
        name: String,
        /// The configuration key.
        key: String,
        /// The value it was to have.
        value: String,
    },
    /// Another call returned failure.
    #[error("LXC call {call} failed for container {name}{}", after_colon(.reason.as_deref()))]
    Call {
        /// The container's name.
        name: String,
        /// The call, as `lxccontainer.h` names it.
        call: &'static str,
        /// What liblxc says of it, if anything.
        reason: Option<String>,
    },
    /// A call has not come back in time.
    #[error("LXC call {call} for container {name} did not come back in time")]
    Late {
        /// The container's name.
        name: String,
        /// The call, as `lxccontainer.h` names it.
        call: &'static str,
    },
    /// A function that this liblxc does not have.
    #[error("this liblxc has no call {call}")]
    Unsupported {
        /// The call, as `lxccontainer.h` names it.
        call: &'static str,
    },
}

fn after_colon(reason: Option<&str>) -> String {
    reason.map_or_else(String::new, |reason| format!(": {reason}"))
}
