//! The side that talks to the bus.

use super::{AuthError, Lines, Progress, hex};

/// What to send first to a bus, to which messages can be appended without waiting for answers.
/// `unix_fds`: whether file descriptors are wanted.
#[must_use]
pub fn greeting(uid: u32, unix_fds: bool) -> Vec<u8> {
    let identity = hex(uid.to_string().as_bytes());
    let negotiate = if unix_fds {
        "NEGOTIATE_UNIX_FD\r\n"
    } else {
        ""
    };
    format!("\0AUTH EXTERNAL {identity}\r\n{negotiate}BEGIN\r\n").into_bytes()
}

/// Reads the answers to the [`greeting`].
#[derive(Debug)]
pub struct ClientAuth {
    lines: Lines,
    accepted: bool,
    unix_fds: bool,
}

impl ClientAuth {
    /// For the greeting with the same `unix_fds`.
    #[must_use]
    pub fn new(unix_fds: bool) -> Self {
        Self {
            lines: Lines::default(),
            accepted: false,
            unix_fds,
        }
    }

    /// Takes what the bus has sent.
    ///
    /// # Errors
    /// [`AuthError`] when the bus does not let us in.
    pub fn feed(&mut self, input: &[u8]) -> Result<Progress, AuthError> {
        let mut used = 0;
        loop {
            let rest = input.get(used..).unwrap_or_default();
            let Some((line, taken)) = self.lines.next(rest)? else {
                return Ok(Progress::Wait);
            };
            used += taken;
            let command = line.split(|&byte| byte == b' ').next();
            match (self.accepted, command.unwrap_or_default()) {
                (false, b"OK") if self.unix_fds => self.accepted = true,
                (false, b"OK") => return Ok(Progress::Done(used)),
                (false, b"REJECTED") => return Err(AuthError::Rejected),
                // A bus that passes no descriptors still passes messages.
                (true, b"AGREE_UNIX_FD" | b"ERROR") => return Ok(Progress::Done(used)),
                _ => return Err(AuthError::UnexpectedReply),
            }
        }
    }
}
