//! The authentication that precedes messages, on both sides, as state machines without sockets.
//!
//! It ends at the proxy: who may connect to a container's socket is decided by who can reach it, so
//! a client is believed to be whoever it says (`EXTERNAL` with an ID of its user namespace means
//! nothing on the host anyway), and the proxy authenticates to the bus as itself.

mod client;
mod server;

pub use client::{ClientAuth, greeting};
pub use server::ServerAuth;

use crate::limits;

/// How far an authentication has come.
#[derive(Debug, PartialEq, Eq)]
pub enum Progress {
    /// More has to be read.
    Wait,
    /// It has succeeded; this many bytes of the input belonged to it, and messages follow.
    Done(usize),
}

/// Why an authentication failed. The connection is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AuthError {
    /// The first byte was not NUL.
    #[error("the first byte is not NUL")]
    NoNul,
    /// A line was longer than allowed.
    #[error("a line is too long")]
    LongLine,
    /// The client sent too many commands that failed.
    #[error("too many commands failed")]
    TooManyFailures,
    /// `BEGIN` came before the authentication had succeeded.
    #[error("BEGIN before the authentication has succeeded")]
    BeginTooEarly,
    /// The bus does not take us for who we are.
    #[error("the bus rejected the identity of the proxy")]
    Rejected,
    /// The bus sent what nobody can understand.
    #[error("the bus sent an unknown reply")]
    UnexpectedReply,
}

/// Collects bytes into lines that end in CR LF.
#[derive(Debug, Default)]
struct Lines {
    partial: Vec<u8>,
}

impl Lines {
    /// Takes the rest of a line from `input` and returns it, without its end, with the number of
    /// bytes taken. `None`: all of `input` was taken and the line is not complete.
    fn next(&mut self, input: &[u8]) -> Result<Option<(Vec<u8>, usize)>, AuthError> {
        let mut line = std::mem::take(&mut self.partial);
        for (index, &byte) in input.iter().enumerate() {
            line.push(byte);
            if line.ends_with(b"\r\n") {
                line.truncate(line.len() - 2);
                return Ok(Some((line, index + 1)));
            }
            if line.len() > limits::AUTH_LINE {
                return Err(AuthError::LongLine);
            }
        }
        self.partial = line;
        Ok(None)
    }
}

fn hex(text: &[u8]) -> String {
    use std::fmt::Write as _;
    let mut out = String::with_capacity(text.len() * 2);
    for byte in text {
        // Writing to a String cannot fail.
        let _ = write!(out, "{byte:02x}");
    }
    out
}

fn is_hex(text: &[u8]) -> bool {
    text.len().is_multiple_of(2) && text.iter().all(u8::is_ascii_hexdigit)
}

#[cfg(test)]
mod tests;
