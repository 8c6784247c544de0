//! Filters on the system calls of apps (seccomp(2)).
//!
//! There are three. LXC loads a [profile] when a container starts, for its init as well: what no
//! manifest may open. The other two are put on top of it for each process that the init starts: the
//! [list](calls) of what apps may call at all, and what they may not call with certain
//! [arguments]. Manifests open parts of both.

mod allowed;
mod arguments;
pub mod calls;
mod error;
mod filters;
pub mod profile;
mod program;
mod raw_icmp;

pub use allowed::{Allowed, SeccompFile};
pub use error::FilterError;
pub use filters::{Filters, ProcessFilters};
