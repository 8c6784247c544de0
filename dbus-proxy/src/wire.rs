//! The D-Bus wire format, as far as a filter needs it: message headers in, error replies out.
//!
//! The parser is ours and not that of a D-Bus library because it has to be stricter (a field that
//! appears twice, or a byte of padding that is not zero, could be read differently by the bus), to
//! borrow from the socket's buffer, and to stop at the header: bodies are streamed, not held.

mod build;
mod header;
mod names;
mod reader;
mod signature;

pub use build::{NewMessage, error_reply};
pub use header::{Fixed, Flags, Header, Kind, Parsed, parse};
pub use reader::{Endian, Reader};

use std::fmt;

/// Why bytes are no D-Bus message. Such bytes close their connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum WireError {
    /// The first byte is neither `l` nor `B`.
    Endian(u8),
    /// The protocol version is not 1.
    Version(u8),
    /// The message type is 0.
    Type,
    /// The serial is 0.
    Serial,
    /// The message or its header is longer than allowed.
    TooLong,
    /// A length points behind the end of its container.
    Truncated,
    /// A byte of padding is not zero.
    Padding,
    /// A string is not valid UTF-8, contains a NUL or does not end in one.
    String,
    /// A signature is not valid.
    Signature,
    /// A boolean is neither 0 nor 1.
    Boolean,
    /// Containers are nested too deeply.
    Depth,
    /// A header field has code 0.
    FieldCode,
    /// A header field has another type than its code demands.
    FieldType(u8),
    /// A header field appears twice.
    FieldTwice(u8),
    /// A header field is missing that messages of this type must have.
    FieldMissing(u8),
    /// A header field holds what is no valid name, path or count.
    FieldValue(u8),
}

impl fmt::Display for WireError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Endian(byte) => write!(f, "byte order mark {byte:#04x}"),
            Self::Version(version) => write!(f, "protocol version {version}"),
            Self::Type => f.write_str("message type 0"),
            Self::Serial => f.write_str("serial 0"),
            Self::TooLong => f.write_str("message longer than allowed"),
            Self::Truncated => f.write_str("length behind the end of the header"),
            Self::Padding => f.write_str("padding that is not zero"),
            Self::String => f.write_str("malformed string"),
            Self::Signature => f.write_str("malformed signature"),
            Self::Boolean => f.write_str("boolean that is neither 0 nor 1"),
            Self::Depth => f.write_str("containers nested too deeply"),
            Self::FieldCode => f.write_str("header field 0"),
            Self::FieldType(code) => write!(f, "header field {code} of the wrong type"),
            Self::FieldTwice(code) => write!(f, "header field {code} twice"),
            Self::FieldMissing(code) => write!(f, "no header field {code}"),
            Self::FieldValue(code) => write!(f, "bad value in header field {code}"),
        }
    }
}

impl std::error::Error for WireError {}
