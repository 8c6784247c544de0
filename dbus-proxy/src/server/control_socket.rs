//! The control socket, and the commands that come through it.

use std::os::fd::OwnedFd;

use super::error::ServerError;
use crate::{
    control::{Bus, ControlLine, Lines, parse_rule},
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
        }
    }

    /// The next thing to be done.
    pub(super) fn next(&mut self) -> Result<Option<Order>, ServerError> {
        loop {
            if let Some((bus, 0, rules)) = &mut self.rules {
                let order = Order::Rules(*bus, std::mem::take(rules).into_iter().collect());
                self.rules = None;
                return Ok(Some(order));
            }
            let Some(line) = self.lines.next_line().map_err(|_| ServerError::Command)? else {
                return Ok(None);
            };
            if let Some((_, left, rules)) = &mut self.rules {
                rules.push(parse_rule(line).ok_or(ServerError::Command)?);
                *left -= 1;
                continue;
            }
            match ControlLine::parse(line).ok_or(ServerError::Command)? {
                ControlLine::Bus(bus, count) => self.rules = Some((bus, count, Vec::new())),
                ControlLine::Off(bus) => return Ok(Some(Order::Off(bus))),
                ControlLine::Sync(number) => return Ok(Some(Order::Sync(number))),
            }
        }
    }
}

/// What the agent wants.
pub(super) enum Order {
    /// These rules for a bus.
    Rules(Bus, RuleSet),
    /// No service on a bus.
    Off(Bus),
    /// To say when it is done.
    Sync(u64),
}
