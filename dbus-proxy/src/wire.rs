//! The D-Bus wire format, as far as a filter needs it: message headers in, error replies out.
//!
//! The parser is ours and not that of a D-Bus library because it has to be stricter (a field that
//! appears twice, or a byte of padding that is not zero, could be read differently by the bus), to
//! borrow from the socket's buffer, and to stop at the header: bodies are streamed, not held.

mod build;
mod error;
mod header;
mod names;
mod reader;
mod signature;

pub use build::{Argument, NewMessage, error_reply, return_reply};
pub use error::WireError;
pub use header::{Flags, Header, Kind, Oversized, Parsed, parse};
pub use reader::{Endian, Reader};
