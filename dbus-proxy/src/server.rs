//! The event loop: one thread, which waits for the control socket, the listening sockets and all
//! connections.

mod control;
mod links;
mod notes;

use std::os::fd::{AsFd, OwnedFd};
use std::time::Instant;

use rustix::event::Timespec;
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::io::Errno;

use crate::address::SocketAddress;
use crate::control::Bus;
use crate::limits;
use crate::link::{End, Host, Interest};
use crate::rule::RuleSet;
use crate::sys;
use control::Control;
use links::{Links, Place};
use notes::Notes;

/// How to reach one bus.
#[derive(Clone, Debug)]
pub struct Upstream {
    /// Where it listens, as the sandboxed proxy sees it.
    pub address: SocketAddress,
    /// The user to be on it, an ID that the process may switch to.
    pub uid: u32,
}

/// The proxy of one container.
pub struct Server {
    epoll: OwnedFd,
    control: Control,
    links: Links,
    /// The most links that there may be.
    connections: usize,
    buses: Buses,
    listeners: [Option<OwnedFd>; 2],
    guids: [String; 2],
    notes: Notes,
    buffer: Vec<u8>,
    /// When to look for links whose time is over.
    next_deadline: Option<Instant>,
    /// Since when listening sockets wait because no descriptor was free.
    listening_paused: Option<Instant>,
}

/// What connections are made with.
struct Buses {
    upstreams: [Option<Upstream>; 2],
    rules: [RuleSet; 2],
    /// The effective user ID at present.
    uid: u32,
    /// Buses that could not be reached, to be told to the agent.
    lost: Vec<Bus>,
}

impl Host for Buses {
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
            self.lost.push(bus);
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
            self.lost.push(bus);
        }
        result
    }
}

impl Buses {
    fn upstream(&self, bus: Bus) -> Option<&Upstream> {
        self.upstreams.get(bus.index())?.as_ref()
    }
}

impl Server {
    /// A proxy that takes orders from `control`, a stream socket, and has `connections` connections
    /// at most. `uid`: the effective user ID of the process.
    ///
    /// # Errors
    /// epoll_create(2), epoll_ctl(2)
    pub fn new(
        control: OwnedFd,
        upstreams: [Option<Upstream>; 2],
        uid: u32,
        connections: u32,
    ) -> Result<Self, Errno> {
        let epoll = epoll::create(CreateFlags::CLOEXEC)?;
        let token = EventData::new_u64(Place::Control.token());
        epoll::add(&epoll, &control, token, EventFlags::IN)?;
        Ok(Self {
            epoll,
            control: Control::new(control),
            links: Links::default(),
            connections: usize::try_from(connections).unwrap_or(usize::MAX),
            buses: Buses {
                upstreams,
                rules: [RuleSet::default(), RuleSet::default()],
                uid,
                lost: Vec::new(),
            },
            listeners: [None, None],
            guids: [new_guid(), new_guid()],
            notes: Notes::default(),
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
                match Place::from_token(event.data.u64()) {
                    Place::Control => {
                        if !self.serve_control(ready)? {
                            return Ok(());
                        }
                    }
                    Place::Listener(bus) => self.accept(bus)?,
                    Place::Link(key, end) => self.serve_link(key, end, ready)?,
                }
            }
            self.handle_deadlines()?;
            self.report_lost()?;
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
        key: links::Key,
        end: End,
        ready: Interest,
    ) -> Result<(), ServerError> {
        let Some(link) = self.links.get(key) else {
            return Ok(());
        };
        let notes = &mut self.notes;
        let bus = link.bus();
        let mut note = |what: &dyn Fn() -> String| notes.add(bus, what);
        let result = link.ready(end, ready, &mut self.buffer, &mut self.buses, &mut note);
        self.after(key, result)
    }

    /// Ends a link that has failed or is over, else waits for what it needs next.
    fn after(
        &mut self,
        key: links::Key,
        result: Result<(), crate::link::LinkError>,
    ) -> Result<(), ServerError> {
        if let (Err(error), Some(link)) = (&result, self.links.get(key)) {
            let bus = link.bus();
            self.notes
                .add(bus, &|| format!("Closed a connection: {error}"));
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
        self.tell_notes()
    }

    fn accept(&mut self, bus: Bus) -> Result<(), ServerError> {
        let Some(listener) = self.listeners.get(bus.index()).and_then(Option::as_ref) else {
            return Ok(());
        };
        let flags = rustix::net::SocketFlags::NONBLOCK | rustix::net::SocketFlags::CLOEXEC;
        let client = match rustix::net::accept_with(listener, flags) {
            Ok(client) => client,
            Err(Errno::MFILE | Errno::NFILE | Errno::NOBUFS | Errno::NOMEM) => {
                self.pause_listening();
                return Ok(());
            }
            // The client has gone already, or nothing was there.
            Err(_) => return Ok(()),
        };
        if self.links.len() >= self.connections {
            self.notes.add(bus, &|| {
                "Refused a connection: too many are open".to_owned()
            });
            return self.tell_notes();
        }
        if self.links.authenticating() >= limits::UNAUTHENTICATED {
            self.notes.add(bus, &|| {
                "Refused a connection: too many are not authenticated".to_owned()
            });
            return self.tell_notes();
        }
        let guid = self.guids.get(bus.index()).map_or("", String::as_str);
        let link = crate::link::Link::new(bus, client, guid, Instant::now());
        let key = self.links.insert(link);
        self.after(key, Ok(()))
    }

    fn pause_listening(&mut self) {
        for listener in self.listeners.iter().flatten() {
            // It may be out of the set already.
            let _ = epoll::delete(&self.epoll, listener);
        }
        let now = Instant::now();
        self.listening_paused = Some(now);
        let resume = now + limits::ACCEPT_PAUSE;
        self.next_deadline = Some(self.next_deadline.map_or(resume, |next| next.min(resume)));
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

    fn watch_listener(&mut self, bus: Bus) -> Result<(), ServerError> {
        let Some(Some(listener)) = self.listeners.get(bus.index()) else {
            return Ok(());
        };
        let token = EventData::new_u64(Place::Listener(bus).token());
        epoll::add(&self.epoll, listener.as_fd(), token, EventFlags::IN).map_err(ServerError::Epoll)
    }
}

/// Why the proxy ends although the agent has not told it to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ServerError {
    /// epoll(7) failed.
    Epoll(Errno),
    /// The control socket failed.
    Control(Errno),
    /// The agent sent what is no command.
    Command,
}

impl std::fmt::Display for ServerError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Epoll(error) => write!(f, "epoll: {error}"),
            Self::Control(error) => write!(f, "control socket: {error}"),
            Self::Command => f.write_str("control socket: unknown command"),
        }
    }
}

impl std::error::Error for ServerError {}

/// Clients use it to tell servers apart.
fn new_guid() -> String {
    use std::hash::{BuildHasher, RandomState};
    let random = RandomState::new();
    format!("{:016x}{:016x}", random.hash_one(0), random.hash_one(1))
}
