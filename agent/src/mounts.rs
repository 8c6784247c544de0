//! What of the host is mounted in a container: BindMount, which the gateways use as well, and
//! write buffers.

pub mod bind;
pub mod buffers;
pub mod error;
mod followed;
pub mod host_source;
mod submounts;
pub mod unwritten;

pub use bind::Mounts;
pub use error::BindError;
pub use followed::Submounts;
pub use host_source::{HostPaths, HostSource};
