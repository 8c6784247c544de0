//! The control socket, and the commands that come through it.

use std::os::fd::OwnedFd;

use super::error::ServerError;
use crate::{
    control::{Bus, ControlLine, LineError, Lines, parse_rule},
    limits,
    outbox::Outbox,
    rule::{BusRule, RuleSet},
};

/// The socket, and what was read of a command.
pub(super) struct Control {
    pub(super) socket: OwnedFd,
    pub(super) lines: Lines,
    pub(super) out: Outbox,
    pub(super) waits_to_write: bool,
    /// Listening sockets that came and wait for their command.
    pub(super) fds: Vec<OwnedFd>,
    /// The bus whose rules come, how many more, and those that have come.
    rules: Option<(Bus, usize, Vec<BusRule>)>,
    /// What is to be done with the next `sync`.
    orders: Vec<Order>,
    /// What has come last is no command, but perhaps the beginning of one.
    is_broken: bool,
}

impl Control {
    pub(super) fn new(socket: OwnedFd) -> Self {
        Self {
            socket,
            lines: Lines::new(limits::CONTROL_LINE),
            out: Outbox::default(),
            waits_to_write: false,
            fds: Vec::new(),
            rules: None,
            orders: Vec::new(),
            is_broken: false,
        }
    }

    /// The next thing to be done.
    pub(super) fn next(&mut self) -> Result<Option<Work>, ServerError> {
        loop {
            if let Some((bus, 0, rules)) = &mut self.rules {
                let rules = std::mem::take(rules).into_iter().collect();
                self.orders.push(Order::Rules(*bus, rules));
                self.rules = None;
            }
            let line = match self.lines.next_line() {
                Ok(Some(line)) => Some(line),
                Ok(None) => return Ok(None),
                Err(LineError::NoText) => None,
                Err(LineError::Long) => return Err(ServerError::Command),
            };
            let command = line.and_then(ControlLine::parse);
            if let Some(ControlLine::Anew(number)) = command {
                self.fds.clear();
                self.rules = None;
                self.orders.clear();
                self.is_broken = false;
                return Ok(Some(Work::Anew(number)));
            }
            if self.is_broken {
                return Err(ServerError::Command);
            }
            if let Some((_, left, rules)) = &mut self.rules {
                match line.and_then(parse_rule) {
                    Some(rule) => {
                        rules.push(rule);
                        *left -= 1;
                    }
                    None => self.is_broken = true,
                }
                continue;
            }
            match command {
                Some(ControlLine::Bus(bus, count)) => self.rules = Some((bus, count, Vec::new())),
                Some(ControlLine::Off(bus)) => self.orders.push(Order::Off(bus)),
                Some(ControlLine::Sync(number)) => {
                    return Ok(Some(Work::Orders(std::mem::take(&mut self.orders), number)));
                }
                Some(ControlLine::Anew(_)) | None => self.is_broken = true,
            }
        }
    }
}

/// What the agent wants to be done now.
pub(super) enum Work {
    /// These, and to say this number.
    Orders(Vec<Order>, u64),
    /// To be ready for another agent, and to say this number.
    Anew(u64),
}

/// What the agent wants.
pub(super) enum Order {
    /// These rules for a bus.
    Rules(Bus, RuleSet),
    /// No service on a bus.
    Off(Bus),
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixStream;

    use super::*;

    fn control() -> Control {
        Control::new(UnixStream::pair().unwrap().0.into())
    }

    /// The numbers of what is done: how many orders, and what is said.
    fn done(control: &mut Control, text: &[u8]) -> Result<Vec<(usize, u64)>, ServerError> {
        control.lines.feed(text);
        let mut done = Vec::new();
        while let Some(work) = control.next()? {
            done.push(match work {
                Work::Orders(orders, number) => (orders.len(), number),
                Work::Anew(number) => (usize::MAX, number),
            });
        }
        Ok(done)
    }

    const WHOLE: &[u8] =
        "bus session 2\n*\t*\t*\tGrü*\noutgoing\ta.b\t/\t\noff system\nsync 7\n".as_bytes();

    #[test]
    fn everything_takes_effect_with_its_sync() {
        let control = &mut control();
        let (first, last) = WHOLE.split_at(WHOLE.len() - 1);
        assert_eq!(done(control, first), Ok(vec![]));
        assert_eq!(done(control, last), Ok(vec![(2, 7)]));
        assert_eq!(done(control, b"sync 8\n"), Ok(vec![(0, 8)]));
    }

    #[test]
    fn an_agent_that_was_killed_at_any_byte_is_followed_by_another() {
        for length in 0..WHOLE.len() {
            let control = &mut control();
            assert_eq!(done(control, &WHOLE[..length]), Ok(vec![]));
            control.fds.push(UnixStream::pair().unwrap().0.into());
            let mut expected = vec![(usize::MAX, 3)];
            // Whole but for the end of the last line.
            if length + 1 == WHOLE.len() {
                expected.insert(0, (2, 7));
            }
            assert_eq!(done(control, b"\nanew 3\n"), Ok(expected));
            assert!(control.fds.is_empty());
            assert_eq!(done(control, WHOLE), Ok(vec![(2, 7)]), "{length}");
        }
    }

    #[test]
    fn what_is_no_command_ends_the_proxy_with_the_next_line() {
        let lines: [&[u8]; 4] = [
            b"nonsense\nsync 1\n",
            b"\xff\nsync 1\n",
            b"bus system 1\nno rule\nsync 1\n",
            b"bus system -1\n\n",
        ];
        for text in lines {
            assert_eq!(done(&mut control(), text), Err(ServerError::Command));
        }
    }
}
