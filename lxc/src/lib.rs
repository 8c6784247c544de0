//! A safe wrapper around the part of liblxc that the agent uses.
//!
//! All calls block: liblxc waits for its monitor, and some calls have no time-out of their own.
//! Call them from a worker thread. The source for every item is `<lxc/lxccontainer.h>` (5.0) and
//! lxc.container.conf(5).

mod attach;
#[rustfmt::skip]
#[allow(non_camel_case_types, missing_docs, dead_code)]
mod bindings;
mod container;
mod error;
mod ffi;

pub use container::{Container, State};
pub use error::{Error, Result};

/// The version of the liblxc that the process runs with, such as `5.0.2`.
pub fn version() -> String {
    ffi::version()
}

/// The directory in which liblxc keeps its containers unless told otherwise (`lxc.lxcpath`).
pub fn default_path() -> Option<std::path::PathBuf> {
    ffi::global_config_item(c"lxc.lxcpath").map(Into::into)
}
