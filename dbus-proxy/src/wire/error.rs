//! Bytes that are no message.

/// Why bytes are no D-Bus message. Such bytes close their connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WireError {
    /// The first byte is neither `l` nor `B`.
    #[error("byte order mark {0:#04x}")]
    Endian(u8),
    /// The protocol version is not 1.
    #[error("protocol version {0}")]
    Version(u8),
    /// The message type is 0.
    #[error("message type 0")]
    Type,
    /// The serial is 0.
    #[error("serial 0")]
    Serial,
    /// The message or its header is longer than allowed.
    #[error("message longer than allowed")]
    TooLong,
    /// A length points behind the end of its container.
    #[error("length behind the end of the header")]
    Truncated,
    /// A byte of padding is not zero.
    #[error("padding that is not zero")]
    Padding,
    /// A string is not valid UTF-8, contains a NUL or does not end in one.
    #[error("malformed string")]
    String,
    /// A signature is not valid.
    #[error("malformed signature")]
    Signature,
    /// A boolean is neither 0 nor 1.
    #[error("boolean that is neither 0 nor 1")]
    Boolean,
    /// Containers are nested too deeply.
    #[error("containers nested too deeply")]
    Depth,
    /// A header field has code 0.
    #[error("header field 0")]
    FieldCode,
    /// A header field has another type than its code demands.
    #[error("header field {0} of the wrong type")]
    FieldType(u8),
    /// A header field appears twice.
    #[error("header field {0} twice")]
    FieldTwice(u8),
    /// A header field is missing that messages of this type must have.
    #[error("no header field {0}")]
    FieldMissing(u8),
    /// A header field holds what is no valid name, path or count.
    #[error("bad value in header field {0}")]
    FieldValue(u8),
}
