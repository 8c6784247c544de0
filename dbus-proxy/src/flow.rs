//! One direction of a connection: cuts the stream into messages, has each judged, passes on what
//! may pass.
//!
//! Only headers are ever held back; a body follows its header's verdict as it comes in.

use std::{collections::VecDeque, os::fd::OwnedFd};

use crate::{
    filter::{Filter, Refusal, Verdict, describe},
    rule::{Direction, RuleSet},
    wire::{self, Header, Parsed, WireError},
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
    direction: Direction,
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
    pub fn new(direction: Direction) -> Self {
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
            let Some(header) = self.header(rest)? else {
                break;
            };
            let body = rest.get(header.length..).unwrap_or_default();
            let body = body.get(..header.body).unwrap_or(body);
            let verdict = match self.direction {
                Direction::Outgoing => filter.outgoing(rules, &header, body),
                Direction::Incoming => filter.incoming(rules, &header),
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

    /// The header at the start of `data`, once there is enough to judge it.
    fn header<'a>(&self, data: &'a [u8]) -> Result<Option<Header<'a>>, WireError> {
        let Parsed::Header(header) = wire::parse(data)? else {
            return Ok(None);
        };
        let body_missing = data.len() - header.length < header.body;
        let wait =
            body_missing && self.direction == Direction::Outgoing && Filter::needs_body(&header);
        Ok((!wait).then_some(header))
    }
}

fn refuse(direction: Direction, header: &Header<'_>, verdict: Verdict, sink: &mut dyn Sink) {
    let Verdict::Refuse(refusal) = verdict else {
        sink.log(&|| format!("Dropped {}", describe(direction, header)));
        return;
    };
    sink.log(&|| refusal.text(direction, header));
    let text = refusal.text(direction, header);
    sink.answer(answer(direction, header, refusal, &text));
}

fn answer(direction: Direction, header: &Header<'_>, refusal: Refusal, text: &str) -> Vec<u8> {
    // Nobody answers an error, so its serial need not be unlike others on the connection.
    let serial = u32::MAX;
    let (sender, destination) = match direction {
        Direction::Outgoing => (Some(crate::filter::DRIVER), None),
        Direction::Incoming => (None, header.sender),
    };
    wire::error_reply(
        header.endian,
        serial,
        header.serial.get(),
        refusal.error_name(),
        text,
        sender,
        destination,
    )
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
