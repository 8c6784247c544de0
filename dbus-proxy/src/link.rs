//! One client in the container and its connection to the bus.

mod error;
mod side;

pub(crate) use error::LinkError;
pub(crate) use side::{Interest, Side};

use std::{os::fd::OwnedFd, time::Instant};

use rustix::io::Errno;

use crate::{
    control::Bus,
    filter::Filter,
    flow::{Flow, FlowError, Sink},
    limits,
    rule::{BusDirection, RuleSet},
    sasl::{ClientAuth, Progress, ServerAuth, greeting},
    sys,
};

/// What links need of the server that they are part of.
pub(crate) trait Buses {
    /// The rules of a bus.
    fn rules(&self, bus: Bus) -> &RuleSet;
    /// A new connection to the bus, and the user it was made as.
    fn connect(&mut self, bus: Bus) -> Result<OwnedFd, Errno>;
    /// The user that connections to the bus are made as.
    fn uid(&self, bus: Bus) -> u32;
}

#[derive(Debug)]
enum Phase {
    /// The client authenticates.
    Auth(ServerAuth),
    /// The bus is not connected yet, because its backlog is full.
    Connecting {
        give_up: Instant,
    },
    /// The bus's answers to our authentication are awaited; messages for it are sent already.
    Greeting(ClientAuth),
    Open,
    /// One side has gone; the other one gets what is left.
    Closing,
}

/// Which of the two sockets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    App,
    Bus,
}

/// A pair of connections.
#[derive(Debug)]
pub(crate) struct Link {
    bus: Bus,
    phase: Phase,
    pub(crate) app: Side,
    pub(crate) upstream: Side,
    to_bus: Flow,
    to_app: Flow,
    filter: Filter,
    deadline: Option<Instant>,
}

impl Link {
    pub(crate) fn new(
        bus: Bus,
        client: OwnedFd,
        guid: &str,
        pending_calls: u32,
        now: Instant,
    ) -> Self {
        Self {
            bus,
            phase: Phase::Auth(ServerAuth::new(guid)),
            app: Side::new(Some(client)),
            upstream: Side::new(None),
            to_bus: Flow::new(BusDirection::Outgoing),
            to_app: Flow::new(BusDirection::Incoming),
            filter: Filter::new(pending_calls),
            deadline: Some(now + limits::AUTH_TIME),
        }
    }

    pub(crate) fn bus(&self) -> Bus {
        self.bus
    }

    pub(crate) fn authenticates(&self) -> bool {
        matches!(self.phase, Phase::Auth(_))
    }

    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    /// Whether nothing is left to be done.
    pub(crate) fn is_over(&self) -> bool {
        let drained = |side: &Side| side.ended || side.out.is_empty();
        matches!(self.phase, Phase::Closing) && drained(&self.app) && drained(&self.upstream)
    }

    /// What to wait for on one socket. A side is read from only while the other takes what is read,
    /// and while it takes the answers that reading may cause: an app that calls and does not read
    /// would otherwise make the bus hold the answers.
    pub(crate) fn interest(&self, end: End) -> Interest {
        let (this, other) = match end {
            End::App => (&self.app, &self.upstream),
            End::Bus => (&self.upstream, &self.app),
        };
        let moving = match self.phase {
            Phase::Auth(_) => true,
            Phase::Connecting { .. } | Phase::Closing => false,
            Phase::Greeting(_) | Phase::Open => other.out.is_empty(),
        };
        let takes_answers = match end {
            End::App => this.out.is_empty() && this.out.queued() < limits::WAITING_REPLIES,
            End::Bus => this.out.queued() < limits::WAITING_REPLIES,
        };
        Interest {
            read: moving && takes_answers,
            write: !this.out.is_empty(),
        }
    }

    /// Handles what epoll(7) said about one socket. `log` takes lines about refused messages.
    pub(crate) fn ready(
        &mut self,
        end: End,
        ready: Interest,
        buffer: &mut [u8],
        buses: &mut dyn Buses,
        log: &mut dyn FnMut(&dyn Fn() -> String),
    ) -> Result<(), LinkError> {
        let wanted = self.interest(end);
        if ready.write && wanted.write {
            self.side(end).flush();
        }
        if ready.read && wanted.read {
            self.read(end, buffer, buses, log)?;
        }
        Ok(())
    }

    /// Handles a deadline that has passed.
    pub(crate) fn expired(&mut self, now: Instant, buses: &mut dyn Buses) -> Result<(), LinkError> {
        match self.phase {
            Phase::Auth(_) => Err(LinkError::TimeOut("authentication of a client")),
            Phase::Greeting(_) => Err(LinkError::TimeOut("authentication to the bus")),
            Phase::Connecting { give_up } if now >= give_up => {
                Err(LinkError::Connect(Errno::AGAIN))
            }
            Phase::Connecting { .. } => self.connect(now, buses),
            Phase::Open => {
                self.deadline = None;
                Ok(())
            }
            Phase::Closing => Err(LinkError::TimeOut("closing")),
        }
    }

    fn side(&mut self, end: End) -> &mut Side {
        match end {
            End::App => &mut self.app,
            End::Bus => &mut self.upstream,
        }
    }

    fn read(
        &mut self,
        end: End,
        buffer: &mut [u8],
        buses: &mut dyn Buses,
        log: &mut dyn FnMut(&dyn Fn() -> String),
    ) -> Result<(), LinkError> {
        let mut fds = Vec::new();
        let Some(socket) = &self.side(end).socket else {
            return Ok(());
        };
        let count = match sys::receive(socket, buffer, &mut fds) {
            Err(Errno::AGAIN | Errno::INTR) => return Ok(()),
            // The other end closed with data of ours unread; that is an end like any other.
            Err(Errno::CONNRESET) | Ok(0) => {
                self.end_of(end);
                return Ok(());
            }
            Err(error) => return Err(LinkError::Socket(error)),
            Ok(count) => count,
        };
        let data = buffer.get(..count).unwrap_or_default();
        match end {
            End::App => self.take_from_app(data, fds, buses, log),
            End::Bus => self.take_from_bus(data, fds, buses, log),
        }
    }

    fn end_of(&mut self, end: End) {
        self.side(end).end();
        self.phase = Phase::Closing;
        self.deadline = Some(Instant::now() + limits::LINGER_TIME);
    }

    fn take_from_app(
        &mut self,
        mut data: &[u8],
        fds: Vec<OwnedFd>,
        buses: &mut dyn Buses,
        log: &mut dyn FnMut(&dyn Fn() -> String),
    ) -> Result<(), LinkError> {
        if let Phase::Auth(auth) = &mut self.phase {
            let mut reply = Vec::new();
            let progress = auth.feed(data, &mut reply).map_err(LinkError::Client)?;
            let unix_fds = auth.unix_fds();
            self.app.send(&reply, Vec::new());
            let Progress::Done(used) = progress else {
                return if fds.is_empty() {
                    Ok(())
                } else {
                    Err(LinkError::EarlyDescriptors)
                };
            };
            data = data.get(used..).unwrap_or_default();
            // Only now: a client that does not authenticate must not use up the bus's connections.
            self.upstream.unix_fds = unix_fds;
            self.upstream
                .send(&greeting(buses.uid(self.bus), unix_fds), Vec::new());
            let now = Instant::now();
            let give_up = now + limits::CONNECT_TIME;
            self.phase = Phase::Connecting { give_up };
            self.connect(now, buses)?;
        }
        self.pass_on(End::App, data, fds, buses, log)
            .map_err(LinkError::FromClient)
    }

    fn connect(&mut self, now: Instant, buses: &mut dyn Buses) -> Result<(), LinkError> {
        match buses.connect(self.bus) {
            Ok(socket) => {
                self.upstream.socket = Some(socket);
                self.upstream.flush();
                self.phase = Phase::Greeting(ClientAuth::new(self.upstream.unix_fds));
                self.deadline = Some(now + limits::AUTH_TIME);
                Ok(())
            }
            Err(Errno::AGAIN) => {
                self.deadline = Some(now + limits::CONNECT_RETRY);
                Ok(())
            }
            Err(error) => Err(LinkError::Connect(error)),
        }
    }

    fn take_from_bus(
        &mut self,
        mut data: &[u8],
        fds: Vec<OwnedFd>,
        buses: &mut dyn Buses,
        log: &mut dyn FnMut(&dyn Fn() -> String),
    ) -> Result<(), LinkError> {
        if let Phase::Greeting(auth) = &mut self.phase {
            let Progress::Done(used) = auth.feed(data).map_err(LinkError::Bus)? else {
                return Ok(());
            };
            self.phase = Phase::Open;
            self.deadline = None;
            data = data.get(used..).unwrap_or_default();
        }
        self.pass_on(End::Bus, data, fds, buses, log)
            .map_err(LinkError::FromBus)
    }

    /// Has messages judged that came from `end`, and passes on what may pass.
    fn pass_on(
        &mut self,
        end: End,
        data: &[u8],
        fds: Vec<OwnedFd>,
        buses: &dyn Buses,
        log: &mut dyn FnMut(&dyn Fn() -> String),
    ) -> Result<(), FlowError> {
        let (flow, counterflow, to, back) = match end {
            End::App => (
                &mut self.to_bus,
                &self.to_app,
                &mut self.upstream,
                &mut self.app,
            ),
            End::Bus => (
                &mut self.to_app,
                &self.to_bus,
                &mut self.app,
                &mut self.upstream,
            ),
        };
        let mut output = Output {
            to,
            back,
            back_is_free: counterflow.between_messages(),
            log,
        };
        let rules = buses.rules(self.bus);
        flow.feed(data, fds, &mut self.filter, rules, &mut output)?;
        if flow.between_messages() {
            output.to.release();
        }
        Ok(())
    }
}

/// Where a flow's output goes.
struct Output<'a> {
    to: &'a mut Side,
    back: &'a mut Side,
    back_is_free: bool,
    log: &'a mut dyn FnMut(&dyn Fn() -> String),
}

impl Sink for Output<'_> {
    fn forward(&mut self, bytes: &[u8], fds: Vec<OwnedFd>) {
        self.to.send(bytes, fds);
    }

    fn answer(&mut self, message: Vec<u8>) {
        if self.back_is_free {
            self.back.send(&message, Vec::new());
        } else {
            self.back.out.hold(&message);
        }
    }

    fn log(&mut self, line: &dyn Fn() -> String) {
        (self.log)(line);
    }
}
