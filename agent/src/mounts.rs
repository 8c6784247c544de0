//! What of the host is mounted in a container: BindMount, which the gateways use as well, and
//! write buffers.

pub mod bind;
pub mod buffers;
pub mod error;
pub mod host_source;
pub mod submounts;
pub mod unwritten;

pub use bind::Mounts;
pub use error::BindError;
pub use host_source::{HostPaths, HostSource};
