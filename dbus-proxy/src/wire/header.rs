//! Message headers.

use std::num::NonZeroU32;

use super::{Endian, Reader, WireError, names, signature};
use crate::limits;

/// Length of the part that every header has: byte order, type, flags, version, body length, serial,
/// length of the fields.
const FIXED: usize = 16;

/// Message type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `METHOD_CALL`
    Call,
    /// `METHOD_RETURN`
    Return,
    /// `ERROR`
    Error,
    /// `SIGNAL`
    Signal,
    /// A type that a later specification may add.
    Unknown(u8),
}

/// Flags of a header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flags(pub u8);

impl Flags {
    /// The sender of a call does not want a reply.
    #[must_use]
    pub fn no_reply_expected(self) -> bool {
        self.0 & 1 != 0
    }
}

/// A header, borrowed from the bytes it was parsed from. Names and paths are valid ones.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header<'a> {
    /// Byte order of the message.
    pub endian: Endian,
    /// Message type.
    pub kind: Kind,
    /// Flags.
    pub flags: Flags,
    /// Serial that the sender gave it.
    pub serial: NonZeroU32,
    /// Length of the header with its last padding, in bytes.
    pub length: usize,
    /// Length of the body in bytes.
    pub body: usize,
    /// Field 1.
    pub path: Option<&'a str>,
    /// Field 2.
    pub interface: Option<&'a str>,
    /// Field 3.
    pub member: Option<&'a str>,
    /// Field 4.
    pub error_name: Option<&'a str>,
    /// Field 5.
    pub reply_serial: Option<NonZeroU32>,
    /// Field 6.
    pub destination: Option<&'a str>,
    /// Field 7. The bus sets it; what a client wrote there means nothing.
    pub sender: Option<&'a str>,
    /// Field 8.
    pub signature: Option<&'a str>,
    /// Field 9: how many descriptors travel with the message.
    pub unix_fds: usize,
}

/// Outcome of looking for a header at the start of some bytes.
#[derive(Debug, PartialEq, Eq)]
pub enum Parsed<'a> {
    /// At least this many bytes are needed.
    Need(usize),
    /// A whole header.
    Header(Header<'a>),
    /// A message whose header is longer than one that is looked at.
    Oversized(Oversized),
}

/// What is known of a message whose header is not looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Oversized {
    /// Byte order of the message.
    pub endian: Endian,
    /// Message type.
    pub kind: Kind,
    /// Flags.
    pub flags: Flags,
    /// Serial that the sender gave it.
    pub serial: NonZeroU32,
    /// Length of the whole message in bytes.
    pub length: usize,
}

/// The part that every header has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Fixed {
    endian: Endian,
    kind: Kind,
    flags: Flags,
    serial: NonZeroU32,
    body: usize,
    fields: usize,
    length: usize,
}

impl Fixed {
    /// Reads it; `None` when `data` is too short, unless its first byte already rules a message
    /// out.
    ///
    /// # Errors
    /// [`WireError`] when no message starts like this.
    fn parse(data: &[u8]) -> Result<Option<Self>, WireError> {
        let Some(&mark) = data.first() else {
            return Ok(None);
        };
        let endian = Endian::from_mark(mark)?;
        if data.len() < FIXED {
            return Ok(None);
        }
        let mut reader = Reader::new(data, 1, endian);
        let kind = match reader.u8()? {
            0 => return Err(WireError::Type),
            1 => Kind::Call,
            2 => Kind::Return,
            3 => Kind::Error,
            4 => Kind::Signal,
            other => Kind::Unknown(other),
        };
        let flags = Flags(reader.u8()?);
        let version = reader.u8()?;
        if version != 1 {
            return Err(WireError::Version(version));
        }
        let body = reader.length()?;
        let serial = NonZeroU32::new(reader.u32()?).ok_or(WireError::Serial)?;
        let fields = reader.length()?;
        if fields > limits::ARRAY || body > limits::MESSAGE {
            return Err(WireError::TooLong);
        }
        let length = (FIXED + fields).next_multiple_of(8);
        if length + body > limits::MESSAGE {
            return Err(WireError::TooLong);
        }
        Ok(Some(Self {
            endian,
            kind,
            flags,
            serial,
            body,
            fields,
            length,
        }))
    }
}

/// Looks for a header at the start of `data`.
///
/// # Errors
/// [`WireError`] when `data` cannot be the start of a message.
pub fn parse(data: &[u8]) -> Result<Parsed<'_>, WireError> {
    let Some(fixed) = Fixed::parse(data)? else {
        return Ok(Parsed::Need(FIXED));
    };
    if fixed.fields > limits::HEADER_FIELDS {
        return Ok(Parsed::Oversized(Oversized {
            endian: fixed.endian,
            kind: fixed.kind,
            flags: fixed.flags,
            serial: fixed.serial,
            length: fixed.length + fixed.body,
        }));
    }
    let Some(bytes) = data.get(..fixed.length) else {
        return Ok(Parsed::Need(fixed.length));
    };
    let fields_end = FIXED + fixed.fields;
    let fields = bytes.get(..fields_end).ok_or(WireError::Truncated)?;
    let mut header = Header {
        endian: fixed.endian,
        kind: fixed.kind,
        flags: fixed.flags,
        serial: fixed.serial,
        length: fixed.length,
        body: fixed.body,
        path: None,
        interface: None,
        member: None,
        error_name: None,
        reply_serial: None,
        destination: None,
        sender: None,
        signature: None,
        unix_fds: 0,
    };
    let mut reader = Reader::new(fields, FIXED, fixed.endian);
    let mut seen = 0_u16;
    while !reader.at_end() {
        header.field(&mut reader, &mut seen)?;
    }
    Reader::new(bytes, fields_end, fixed.endian).align(8)?;
    header.check_required()?;
    Ok(Parsed::Header(header))
}

impl<'a> Header<'a> {
    fn field(&mut self, reader: &mut Reader<'a>, seen: &mut u16) -> Result<(), WireError> {
        reader.align(8)?;
        let code = reader.u8()?;
        let kind = reader.signature()?;
        let expected = match code {
            0 => return Err(WireError::FieldCode),
            1 => "o",
            2 | 3 | 4 | 6 | 7 => "s",
            5 | 9 => "u",
            8 => "g",
            _ => return signature::skip_single(reader, kind, 0),
        };
        if kind != expected {
            return Err(WireError::FieldType(code));
        }
        let bit = 1_u16 << code;
        if *seen & bit != 0 {
            return Err(WireError::FieldTwice(code));
        }
        *seen |= bit;
        let valid = |ok: bool| {
            if ok {
                Ok(())
            } else {
                Err(WireError::FieldValue(code))
            }
        };
        let mut named = |check: fn(&str) -> bool| {
            let name = reader.string()?;
            valid(check(name))?;
            Ok(Some(name))
        };
        match code {
            1 => self.path = named(names::is_path)?,
            2 => self.interface = named(names::is_interface)?,
            3 => self.member = named(names::is_member)?,
            4 => self.error_name = named(names::is_error)?,
            5 => {
                self.reply_serial = NonZeroU32::new(reader.u32()?);
                valid(self.reply_serial.is_some())?;
            }
            6 => self.destination = named(names::is_bus_name)?,
            7 => self.sender = named(names::is_bus_name)?,
            8 => {
                let value = reader.signature()?;
                signature::check(value)?;
                self.signature = Some(value);
            }
            _ => {
                self.unix_fds = reader.length()?;
                valid(self.unix_fds <= limits::MESSAGE_FDS)?;
            }
        }
        Ok(())
    }

    fn check_required(&self) -> Result<(), WireError> {
        let require = |code: u8, there: bool| {
            if there {
                Ok(())
            } else {
                Err(WireError::FieldMissing(code))
            }
        };
        match self.kind {
            Kind::Call | Kind::Signal => {
                require(1, self.path.is_some())?;
                require(3, self.member.is_some())?;
                require(2, self.kind == Kind::Call || self.interface.is_some())?;
                // Messages that a library makes for itself; one that comes over a socket pretends
                // to be that.
                if self.path == Some("/org/freedesktop/DBus/Local") {
                    return Err(WireError::FieldValue(1));
                }
                if self.interface == Some("org.freedesktop.DBus.Local") {
                    return Err(WireError::FieldValue(2));
                }
            }
            Kind::Return => require(5, self.reply_serial.is_some())?,
            Kind::Error => {
                require(5, self.reply_serial.is_some())?;
                require(4, self.error_name.is_some())?;
            }
            Kind::Unknown(_) => {}
        }
        if self.body > 0 && self.signature.unwrap_or("").is_empty() {
            return Err(WireError::FieldMissing(8));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
