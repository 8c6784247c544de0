//! One direction of a connection: cuts the stream into messages, has each judged, passes on what
//! may pass.
//!
//! Only headers are ever held back; a body follows its header's verdict as it comes in.

use std::{collections::VecDeque, os::fd::OwnedFd};

use crate::{
    filter::{DRIVER, DROPPED, Filter, Refusal, Verdict, describe},
    rule::{BusDirection, RuleSet},
    wire::{self, Argument, Header, Kind, Oversized, Parsed, WireError, error_reply, return_reply},
};

/// Where messages, answers and lines for the log go.
pub trait Sink {
    /// Bytes for the other side. `fds` belong to the message that starts with the first of them.
    fn forward(&mut self, bytes: &[u8], fds: Vec<OwnedFd>);
    /// A message of our own for the side that `bytes` came from.
    fn answer(&mut self, message: Vec<u8>);
    /// A line for the log: a message did not pass.
    fn log(&mut self, line: &dyn Fn() -> String);
}

/// Why a connection is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FlowError {
    /// The bytes are no message.
    #[error("not a D-Bus message")]
    Wire(#[from] WireError),
    /// A message says it comes with more descriptors than have come, or descriptors came with no
    /// message.
    #[error("wrong number of file descriptors")]
    Descriptors,
}

/// State of one direction.
#[derive(Debug)]
pub struct Flow {
    direction: BusDirection,
    /// Bytes of the body that the last judged message still lacks, and whether they pass.
    body: usize,
    body_passes: bool,
    /// Start of a message that cannot be judged yet.
    partial: Vec<u8>,
    fds: VecDeque<OwnedFd>,
}

impl Flow {
    /// A flow at its start.
    #[must_use]
    pub fn new(direction: BusDirection) -> Self {
        Self {
            direction,
            body: 0,
            body_passes: false,
            partial: Vec::new(),
            fds: VecDeque::new(),
        }
    }

    /// Whether the other side has got whole messages only, so that a message of our own may be put
    /// there.
    #[must_use]
    pub fn between_messages(&self) -> bool {
        self.body == 0 || !self.body_passes
    }

    /// Takes what was read at once: `data`, and the descriptors that came with it.
    ///
    /// # Errors
    /// [`FlowError`] when the connection cannot go on.
    pub fn feed(
        &mut self,
        data: &[u8],
        fds: impl IntoIterator<Item = OwnedFd>,
        filter: &mut Filter,
        rules: &RuleSet,
        sink: &mut dyn Sink,
    ) -> Result<(), FlowError> {
        self.fds.extend(fds);
        if self.partial.is_empty() {
            let used = self.messages(data, filter, rules, sink)?;
            let rest = data.get(used..).unwrap_or_default();
            self.partial.extend_from_slice(rest);
        } else {
            let mut joined = std::mem::take(&mut self.partial);
            joined.extend_from_slice(data);
            let used = self.messages(&joined, filter, rules, sink)?;
            joined.drain(..used);
            // Between messages nothing is kept, not even an empty buffer.
            if !joined.is_empty() {
                self.partial = joined;
            }
        }
        // Descriptors come with the first byte of their message at the earliest.
        if self.partial.is_empty() && !self.fds.is_empty() {
            return Err(FlowError::Descriptors);
        }
        Ok(())
    }

    /// Handles all of `data` but the start of a message that is not complete enough, and returns
    /// how much that is.
    fn messages(
        &mut self,
        data: &[u8],
        filter: &mut Filter,
        rules: &RuleSet,
        sink: &mut dyn Sink,
    ) -> Result<usize, FlowError> {
        let mut run = Run::default();
        let mut position = 0;
        loop {
            let rest = data.get(position..).unwrap_or_default();
            if self.body > 0 {
                let part = self.body.min(rest.len());
                if self.body_passes {
                    run.extend(position + part);
                } else {
                    run.flush(data, sink);
                    run.skip_to(position + part);
                }
                self.body -= part;
                position += part;
                if self.body > 0 {
                    break;
                }
                // A message with descriptors is sent by itself: some receivers take them all for
                // one message.
                if run.has_fds() {
                    run.flush(data, sink);
                    run.skip_to(position);
                }
                continue;
            }
            if rest.is_empty() {
                break;
            }
            let header = match self.header(rest, filter)? {
                Next::Wait => break,
                Next::Judge(header) => header,
                Next::Skip(message) => {
                    // How many of them are its own is not known.
                    if !self.fds.is_empty() {
                        return Err(FlowError::Descriptors);
                    }
                    self.body = message.length;
                    self.body_passes = false;
                    run.flush(data, sink);
                    refuse_oversized(self.direction, &message, sink);
                    continue;
                }
            };
            let body = rest.get(header.length..).unwrap_or_default();
            let body = body.get(..header.body).unwrap_or(body);
            let verdict = match self.direction {
                BusDirection::Outgoing => filter.outgoing(rules, &header, body),
                BusDirection::Incoming => filter.incoming(rules, &header, body),
            };
            if header.unix_fds > self.fds.len() {
                return Err(FlowError::Descriptors);
            }
            let fds: Vec<OwnedFd> = self.fds.drain(..header.unix_fds).collect();
            self.body = header.body;
            self.body_passes = verdict == Verdict::Pass;
            if self.body_passes {
                if !fds.is_empty() {
                    run.flush(data, sink);
                    run.start_with(position, fds);
                }
                run.extend(position + header.length);
            } else {
                run.flush(data, sink);
                run.skip_to(position + header.length);
                refuse(self.direction, &header, verdict, sink);
            }
            position += header.length;
            if header.body == 0 && run.has_fds() {
                run.flush(data, sink);
                run.skip_to(position);
            }
        }
        run.flush(data, sink);
        Ok(position)
    }

    /// What is at the start of `data`.
    fn header<'a>(&self, data: &'a [u8], filter: &Filter) -> Result<Next<'a>, WireError> {
        let header = match wire::parse(data)? {
            Parsed::Need(_) => return Ok(Next::Wait),
            Parsed::Oversized(message) => return Ok(Next::Skip(message)),
            Parsed::Header(header) => header,
        };
        let body_missing = data.len() - header.length < header.body;
        Ok(
            if body_missing && filter.needs_body(self.direction, &header) {
                Next::Wait
            } else {
                Next::Judge(header)
            },
        )
    }
}

/// What to do with bytes between two messages.
enum Next<'a> {
    /// There are not enough of them.
    Wait,
    Judge(Header<'a>),
    Skip(Oversized),
}

/// Deals with a message that does not pass as it is.
fn refuse(direction: BusDirection, header: &Header<'_>, verdict: Verdict, sink: &mut dyn Sink) {
    let (sender, destination) = match direction {
        BusDirection::Outgoing => (Some(DRIVER), None),
        BusDirection::Incoming => (None, header.sender),
    };
    let (endian, call) = (header.endian, header.serial.get());
    match verdict {
        Verdict::Pass => {}
        Verdict::Drop => sink.log(&|| format!("{DROPPED}{}", describe(direction, header))),
        Verdict::Replace(message) => sink.forward(&message, Vec::new()),
        Verdict::AnswerNo => {
            sink.log(&|| Refusal::NoSuchName.text(direction, header));
            let no = Argument::Flag(false);
            sink.answer(return_reply(endian, ANSWER, call, no, DRIVER, destination));
        }
        Verdict::Refuse(refusal) => {
            let text = refusal.text(direction, header);
            sink.log(&|| text.clone());
            let name = refusal.error_name();
            let answer = error_reply(endian, ANSWER, call, name, &text, sender, destination);
            sink.answer(answer);
        }
    }
}

/// The serial of our answers. Nobody answers an answer, so it need not be unlike others on the
/// connection.
const ANSWER: u32 = u32::MAX;

/// A message whose header is too long is skipped. Who called is known only if it is the client.
fn refuse_oversized(direction: BusDirection, message: &Oversized, sink: &mut dyn Sink) {
    sink.log(&|| "Dropped a message with an oversized header".to_owned());
    let is_call = message.kind == Kind::Call && !message.flags.no_reply_expected();
    if is_call && direction == BusDirection::Outgoing {
        sink.answer(error_reply(
            message.endian,
            ANSWER,
            message.serial.get(),
            "org.freedesktop.DBus.Error.LimitsExceeded",
            "The header of the message is too long",
            Some(DRIVER),
            None,
        ));
    }
}

/// Bytes in a row that pass.
#[derive(Default)]
struct Run {
    start: usize,
    end: usize,
    fds: Vec<OwnedFd>,
}

impl Run {
    fn has_fds(&self) -> bool {
        !self.fds.is_empty()
    }

    fn extend(&mut self, end: usize) {
        self.end = end;
    }

    fn skip_to(&mut self, position: usize) {
        self.start = position;
        self.end = position;
    }

    fn start_with(&mut self, position: usize, fds: Vec<OwnedFd>) {
        self.skip_to(position);
        self.fds = fds;
    }

    fn flush(&mut self, data: &[u8], sink: &mut dyn Sink) {
        let bytes = data.get(self.start..self.end).unwrap_or_default();
        if !bytes.is_empty() {
            sink.forward(bytes, std::mem::take(&mut self.fds));
        }
        self.start = self.end;
    }
}

#[cfg(test)]
mod tests;
