//! The event loop: one thread, which waits for the control socket, the listening sockets and all
//! connections.

mod control;
mod control_socket;
mod error;
mod links;
mod listening;
mod log_lines;

use std::{os::fd::OwnedFd, time::Instant};

use rustix::{
    event::{
        Timespec,
        epoll::{self, CreateFlags, EventData, EventFlags},
    },
    io::Errno,
};

use crate::{
    address::SocketAddress,
    control::Bus,
    error_chain::error_chain,
    limits,
    link::{Buses, End, Interest},
    rule::RuleSet,
    sys,
};
pub use error::ServerError;

use control_socket::Control;
use links::{Links, Watched};
use log_lines::LogLines;

/// How to reach one bus.
#[derive(Clone, Debug)]
pub struct Upstream {
    /// Where it listens, as the sandboxed proxy sees it.
    pub address: SocketAddress,
    /// The user to be on it, an ID that the process may switch to.
    pub uid: u32,
}

/// What a server is started with.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Settings {
    /// The effective user ID of the process.
    pub(crate) uid: u32,
    /// The most connections that there may be.
    pub(crate) connections: u32,
    /// How many calls of a connection may wait for their replies, in each direction.
    pub(crate) pending_calls: u32,
}

/// The proxy of one container.
pub struct Server {
    epoll: OwnedFd,
    control: Control,
    links: Links,
    /// The most links that there may be.
    connections: usize,
    /// How many calls of a link may wait for their replies, in each direction.
    pending_calls: u32,
    buses: Upstreams,
    listeners: [Option<OwnedFd>; 2],
    guids: [String; 2],
    log: LogLines,
    buffer: Vec<u8>,
    /// When to look for links whose time is over.
    next_deadline: Option<Instant>,
    /// Since when listening sockets wait because no descriptor was free.
    listening_paused: Option<Instant>,
}

/// What connections are made with.
struct Upstreams {
    addresses: [Option<Upstream>; 2],
    rules: [RuleSet; 2],
    /// The effective user ID at present.
    uid: u32,
    /// Buses that could not be reached, to be reported to the agent.
    unreachable: Vec<Bus>,
}

impl Buses for Upstreams {
    fn rules(&self, bus: Bus) -> &RuleSet {
        let [session, system] = &self.rules;
        match bus {
            Bus::Session => session,
            Bus::System => system,
        }
    }

    fn uid(&self, bus: Bus) -> u32 {
        self.upstream(bus).map_or(self.uid, |upstream| upstream.uid)
    }

    fn connect(&mut self, bus: Bus) -> Result<OwnedFd, Errno> {
        let Some(upstream) = self.upstream(bus) else {
            self.unreachable.push(bus);
            return Err(Errno::NOENT);
        };
        let uid = upstream.uid;
        // The socket carries the credentials of this moment, by which the bus judges us.
        if uid != self.uid {
            rustix::thread::set_thread_res_uid(
                None,
                Some(rustix::process::Uid::from_raw(uid)),
                None,
            )?;
        }
        let result = sys::connect(&upstream.address);
        self.uid = uid;
        if matches!(result, Err(Errno::NOENT | Errno::CONNREFUSED)) {
            self.unreachable.push(bus);
        }
        result
    }
}

impl Upstreams {
    fn upstream(&self, bus: Bus) -> Option<&Upstream> {
        self.addresses.get(bus.index())?.as_ref()
    }
}

impl Server {
    /// A proxy that takes orders from `control`, a stream socket.
    ///
    /// # Errors
    /// epoll_create(2), epoll_ctl(2)
    pub(crate) fn new(
        control: OwnedFd,
        upstreams: [Option<Upstream>; 2],
        settings: &Settings,
    ) -> Result<Self, Errno> {
        let epoll = epoll::create(CreateFlags::CLOEXEC)?;
        let token = EventData::new_u64(Watched::Control.token());
        epoll::add(&epoll, &control, token, EventFlags::IN)?;
        Ok(Self {
            epoll,
            control: Control::new(control),
            links: Links::default(),
            connections: usize::try_from(settings.connections).unwrap_or(usize::MAX),
            pending_calls: settings.pending_calls,
            buses: Upstreams {
                addresses: upstreams,
                rules: [RuleSet::default(), RuleSet::default()],
                uid: settings.uid,
                unreachable: Vec::new(),
            },
            listeners: [None, None],
            guids: [new_guid(), new_guid()],
            log: LogLines::default(),
            buffer: vec![0; limits::READ],
            next_deadline: None,
            listening_paused: None,
        })
    }

    /// Serves until the agent closes the control socket.
    ///
    /// # Errors
    /// epoll_wait(2) and the like; nothing that a client or the bus does.
    pub fn run(&mut self) -> Result<(), ServerError> {
        let mut events: Vec<epoll::Event> = Vec::with_capacity(64);
        loop {
            let timeout = self.timeout();
            events.clear();
            match epoll::wait(
                &self.epoll,
                rustix::buffer::spare_capacity(&mut events),
                timeout.as_ref(),
            ) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(error) => return Err(ServerError::Epoll(error)),
            }
            for event in &events {
                let flags = event.flags;
                let gone = flags.intersects(EventFlags::HUP | EventFlags::ERR);
                let ready = Interest {
                    read: gone || flags.contains(EventFlags::IN),
                    write: gone || flags.contains(EventFlags::OUT),
                };
                match Watched::from_token(event.data.u64()) {
                    Watched::Control => {
                        if !self.serve_control(ready)? {
                            return Ok(());
                        }
                    }
                    Watched::Listener(bus) => self.accept(bus)?,
                    Watched::Link(key, end) => self.serve_link(key, end, ready)?,
                }
            }
            self.handle_deadlines()?;
            self.report_unreachable()?;
        }
    }

    fn timeout(&self) -> Option<Timespec> {
        let left = self
            .next_deadline?
            .saturating_duration_since(Instant::now());
        // Rounded up, so that the deadline has passed when the wait is over.
        Timespec::try_from(left + std::time::Duration::from_millis(1)).ok()
    }

    fn serve_link(
        &mut self,
        key: links::LinkKey,
        end: End,
        ready: Interest,
    ) -> Result<(), ServerError> {
        let Some(link) = self.links.get(key) else {
            return Ok(());
        };
        let lines = &mut self.log;
        let bus = link.bus();
        let mut log = |line: &dyn Fn() -> String| lines.add(bus, line);
        let result = link.ready(end, ready, &mut self.buffer, &mut self.buses, &mut log);
        self.after(key, result)
    }

    /// Ends a link that has failed or is over, else waits for what it needs next.
    fn after(
        &mut self,
        key: links::LinkKey,
        result: Result<(), crate::link::LinkError>,
    ) -> Result<(), ServerError> {
        if let (Err(error), Some(link)) = (&result, self.links.get(key)) {
            let bus = link.bus();
            self.log.add(bus, &|| {
                format!("Closed a connection: {}", error_chain(error))
            });
        }
        let over = self.links.get(key).is_none_or(|link| link.is_over());
        if over || result.is_err() {
            // Closing the sockets takes them out of the epoll set.
            self.links.remove(key);
        } else {
            self.links
                .register(key, &self.epoll)
                .map_err(ServerError::Epoll)?;
            let deadline = self.links.get(key).and_then(|link| link.deadline());
            self.next_deadline = [self.next_deadline, deadline].into_iter().flatten().min();
        }
        self.send_log()
    }

    fn handle_deadlines(&mut self) -> Result<(), ServerError> {
        let Some(next) = self.next_deadline else {
            return Ok(());
        };
        let now = Instant::now();
        if now < next {
            return Ok(());
        }
        self.next_deadline = None;
        if let Some(since) = self.listening_paused {
            if now >= since + limits::ACCEPT_PAUSE {
                self.listening_paused = None;
                for bus in Bus::ALL {
                    self.watch_listener(bus)?;
                }
            } else {
                self.next_deadline = Some(since + limits::ACCEPT_PAUSE);
            }
        }
        for key in self.links.keys() {
            let Some(link) = self.links.get(key) else {
                continue;
            };
            let result = match link.deadline() {
                Some(deadline) if deadline <= now => link.expired(now, &mut self.buses),
                _ => Ok(()),
            };
            self.after(key, result)?;
        }
        Ok(())
    }
}

/// Clients use it to tell servers apart.
fn new_guid() -> String {
    use std::hash::{BuildHasher, RandomState};
    let random = RandomState::new();
    format!("{:016x}{:016x}", random.hash_one(0), random.hash_one(1))
}
