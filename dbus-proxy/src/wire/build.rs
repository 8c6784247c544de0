//! Messages that the proxy writes itself.

use super::Endian;

/// Header fields and a body of at most one string, for messages that answer others.
#[derive(Clone, Copy, Debug)]
pub struct NewMessage<'a> {
    /// Message type as on the wire: 1 call, 2 return, 3 error, 4 signal.
    pub kind: u8,
    /// Flags as on the wire.
    pub flags: u8,
    /// Serial.
    pub serial: u32,
    /// Fields of types `s` and `o`: code, type, value.
    pub names: &'a [(u8, u8, &'a str)],
    /// Field 5.
    pub reply_serial: Option<u32>,
    /// Field 9.
    pub unix_fds: Option<u32>,
    /// The only argument.
    pub text: Option<&'a str>,
}

/// The argument of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Argument<'a> {
    /// `s`
    Text(&'a str),
    /// `b`
    Flag(bool),
    /// `as`
    Texts(&'a [&'a str]),
}

impl NewMessage<'_> {
    /// The message in this byte order. Texts longer than 4 GiB do not occur.
    #[must_use]
    pub fn bytes(&self, endian: Endian) -> Vec<u8> {
        self.with_argument(endian, self.text.map(Argument::Text))
    }

    fn with_argument(&self, endian: Endian, argument: Option<Argument<'_>>) -> Vec<u8> {
        let mut body = Vec::new();
        let signature: &[u8] = match argument {
            None => &[],
            Some(Argument::Text(text)) => {
                put_string(&mut body, endian, text);
                b"s"
            }
            Some(Argument::Flag(flag)) => {
                body.extend(endian.bytes(u32::from(flag)));
                b"b"
            }
            Some(Argument::Texts(texts)) => {
                body.extend([0; 4]);
                for text in texts {
                    put_string(&mut body, endian, text);
                }
                let array = endian.bytes(length(body.len() - 4));
                if let Some(place) = body.get_mut(..4) {
                    place.copy_from_slice(&array);
                }
                b"as"
            }
        };
        let mut out = vec![endian.mark(), self.kind, self.flags, 1];
        out.extend(endian.bytes(length(body.len())));
        out.extend(endian.bytes(self.serial));
        out.extend([0; 4]);
        for (code, value) in [(5, self.reply_serial), (9, self.unix_fds)] {
            if let Some(value) = value {
                start_field(&mut out, code, b'u');
                out.extend(endian.bytes(value));
            }
        }
        for &(code, kind, value) in self.names {
            start_field(&mut out, code, kind);
            put_string(&mut out, endian, value);
        }
        if !signature.is_empty() {
            start_field(&mut out, 8, b'g');
            out.push(u8::try_from(signature.len()).unwrap_or_default());
            out.extend(signature);
            out.push(0);
        }
        let fields = endian.bytes(length(out.len() - 16));
        if let Some(place) = out.get_mut(12..16) {
            place.copy_from_slice(&fields);
        }
        pad(&mut out, 8);
        out.extend(body);
        out
    }
}

fn length(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}

fn pad(out: &mut Vec<u8>, alignment: usize) {
    out.resize(out.len().next_multiple_of(alignment), 0);
}

fn start_field(out: &mut Vec<u8>, code: u8, kind: u8) {
    pad(out, 8);
    out.extend([code, 1, kind, 0]);
}

fn put_string(out: &mut Vec<u8>, endian: Endian, text: &str) {
    pad(out, 4);
    out.extend(endian.bytes(length(text.len())));
    out.extend(text.as_bytes());
    out.push(0);
}

/// An error that answers the call with serial `reply_serial`. `sender` is for clients, who expect
/// the bus to have set it; `destination` is for the bus.
#[must_use]
pub fn error_reply(
    endian: Endian,
    serial: u32,
    reply_serial: u32,
    name: &str,
    text: &str,
    sender: Option<&str>,
    destination: Option<&str>,
) -> Vec<u8> {
    let mut names = vec![(4, b's', name)];
    names.extend(destination.map(|name| (6, b's', name)));
    names.extend(sender.map(|name| (7, b's', name)));
    NewMessage {
        kind: 3,
        flags: 1,
        serial,
        names: &names,
        reply_serial: Some(reply_serial),
        unix_fds: None,
        text: Some(text),
    }
    .bytes(endian)
}

/// A reply of the bus `sender` with one argument to the call with serial `reply_serial`.
#[must_use]
pub fn return_reply(
    endian: Endian,
    serial: u32,
    reply_serial: u32,
    argument: Argument<'_>,
    sender: &str,
    destination: Option<&str>,
) -> Vec<u8> {
    let mut names = vec![(7, b's', sender)];
    names.extend(destination.map(|name| (6, b's', name)));
    NewMessage {
        kind: 2,
        flags: 1,
        serial,
        names: &names,
        reply_serial: Some(reply_serial),
        unix_fds: None,
        text: None,
    }
    .with_argument(endian, Some(argument))
}
