//! Write buffers: an overlay over a directory of the host, and its way back.
//!
//! A container with write buffers writes to the upper layer of an overlay (see
//! `Documentation/filesystems/overlayfs.rst` of the kernel). [`Buffer`] mounts such an overlay over
//! one directory of the host; [`Buffer::sync`] copies the upper layer down onto that directory when
//! the container has ended.
//!
//! What an app wrote is untrusted, and what it wrote must not get lost:
//!
//! * nothing outside the host directory is touched: every path is resolved by openat2(2) beneath an
//!   open directory, without symbolic links and without crossing mounts;
//! * a file appears under its name only when it is complete and on disk (temporary name, fsync(2),
//!   rename(2)); the upper layer is removed only after everything was written;
//! * a sync that failed can be repeated, by this process or, after a crash, by another one:
//!   a record beside the upper layer says where it belongs ([`Buffer::open`], [`recover`]).

pub mod acl;
mod attributes;
mod batch;
mod buffer;
mod copy;
mod error;
mod failures;
mod file;
mod ids;
mod mapping;
mod mount;
mod record;
mod recover;
mod remove;
mod replace;
mod rights;
mod sync;
mod tree;
mod whiteouts;

pub use buffer::Buffer;
pub use error::{Failure, LeftOut, RecordError, SyncError};
pub use mapping::Mapping;
pub use recover::{Recovered, recover};
