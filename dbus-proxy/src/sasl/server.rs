//! The side that clients in the container talk to.

use super::{AuthError, Lines, Progress, is_hex};
use crate::limits;

/// Authentication of one client. Only the mechanism `EXTERNAL` is offered; every D-Bus library has
/// it.
#[derive(Debug)]
pub struct ServerAuth {
    guid: Box<str>,
    lines: Lines,
    state: State,
    failures: u32,
    unix_fds: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Nul,
    Auth,
    Data,
    Begin,
}

impl ServerAuth {
    /// `guid`: 32 hexadecimal digits that name this server.
    #[must_use]
    pub fn new(guid: &str) -> Self {
        Self {
            guid: guid.into(),
            lines: Lines::default(),
            state: State::Nul,
            failures: 0,
            unix_fds: false,
        }
    }

    /// Whether the client takes file descriptors.
    #[must_use]
    pub fn unix_fds(&self) -> bool {
        self.unix_fds
    }

    /// Takes what the client has sent and appends the answers to `reply`. Clients may send
    /// everything up to their first messages at once.
    ///
    /// # Errors
    /// [`AuthError`] when the client shall be disconnected.
    pub fn feed(&mut self, input: &[u8], reply: &mut Vec<u8>) -> Result<Progress, AuthError> {
        let mut used = 0;
        if self.state == State::Nul {
            match input.first() {
                None => return Ok(Progress::Wait),
                Some(0) => used = 1,
                Some(_) => return Err(AuthError::NoNul),
            }
            self.state = State::Auth;
        }
        loop {
            let rest = input.get(used..).unwrap_or_default();
            let Some((line, taken)) = self.lines.next(rest)? else {
                return Ok(Progress::Wait);
            };
            used += taken;
            if self.line(&line, reply)? {
                return Ok(Progress::Done(used));
            }
        }
    }

    /// Whether the line was the last one.
    fn line(&mut self, line: &[u8], reply: &mut Vec<u8>) -> Result<bool, AuthError> {
        let mut words = line.splitn(2, |&byte| byte == b' ');
        let command = words.next().unwrap_or_default();
        let argument = words.next().unwrap_or_default();
        match (self.state, command) {
            (State::Begin, b"BEGIN") if line == b"BEGIN" => return Ok(true),
            (_, b"BEGIN") if line == b"BEGIN" => return Err(AuthError::BeginTooEarly),
            (State::Auth, b"AUTH") => self.auth(argument, reply)?,
            (State::Data, b"DATA") if is_hex(argument) => self.accept(reply),
            (State::Begin, b"NEGOTIATE_UNIX_FD") => {
                self.unix_fds = true;
                reply.extend(b"AGREE_UNIX_FD\r\n");
            }
            (_, b"CANCEL" | b"ERROR") => self.reject(reply)?,
            _ => {
                self.fail()?;
                reply.extend(b"ERROR \"Unknown or unexpected command\"\r\n");
            }
        }
        Ok(false)
    }

    fn auth(&mut self, argument: &[u8], reply: &mut Vec<u8>) -> Result<(), AuthError> {
        let mut words = argument.splitn(2, |&byte| byte == b' ');
        match (words.next(), words.next()) {
            (Some(b"EXTERNAL"), None) => {
                self.state = State::Data;
                reply.extend(b"DATA\r\n");
            }
            (Some(b"EXTERNAL"), Some(identity)) if is_hex(identity) => self.accept(reply),
            _ => self.reject(reply)?,
        }
        Ok(())
    }

    fn accept(&mut self, reply: &mut Vec<u8>) {
        self.state = State::Begin;
        reply.extend(format!("OK {}\r\n", self.guid).as_bytes());
    }

    fn reject(&mut self, reply: &mut Vec<u8>) -> Result<(), AuthError> {
        self.fail()?;
        self.state = State::Auth;
        reply.extend(b"REJECTED EXTERNAL\r\n");
        Ok(())
    }

    fn fail(&mut self) -> Result<(), AuthError> {
        self.failures += 1;
        if self.failures > limits::AUTH_FAILURES {
            return Err(AuthError::TooManyFailures);
        }
        Ok(())
    }
}
