//! The listening sockets.

use std::{os::fd::AsFd, time::Instant};

use rustix::{
    event::epoll::{self, EventData, EventFlags},
    io::Errno,
    net::SocketFlags,
};

use super::{Server, ServerError, Watched};
use crate::{control::Bus, limits, link::Link};

impl Server {
    pub(super) fn accept(&mut self, bus: Bus) -> Result<(), ServerError> {
        let Some(listener) = self.listeners.get(bus.index()).and_then(Option::as_ref) else {
            return Ok(());
        };
        let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
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
            self.log.add(bus, &|| {
                "Refused a connection: too many are open".to_owned()
            });
            return self.send_log();
        }
        if self.links.authenticating() >= limits::UNAUTHENTICATED {
            self.log.add(bus, &|| {
                "Refused a connection: too many are not authenticated".to_owned()
            });
            return self.send_log();
        }
        let guid = self.guids.get(bus.index()).map_or("", String::as_str);
        let link = Link::new(bus, client, guid, self.pending_calls, Instant::now());
        let key = self.links.insert(link);
        self.after(key, Ok(()))
    }

    pub(super) fn pause_listening(&mut self) {
        for listener in self.listeners.iter().flatten() {
            // It may be out of the set already.
            let _ = epoll::delete(&self.epoll, listener);
        }
        let now = Instant::now();
        self.listening_paused = Some(now);
        let resume = now + limits::ACCEPT_PAUSE;
        self.next_deadline = Some(self.next_deadline.map_or(resume, |next| next.min(resume)));
    }

    pub(super) fn watch_listener(&mut self, bus: Bus) -> Result<(), ServerError> {
        let Some(Some(listener)) = self.listeners.get(bus.index()) else {
            return Ok(());
        };
        let token = EventData::new_u64(Watched::Listener(bus).token());
        epoll::add(&self.epoll, listener.as_fd(), token, EventFlags::IN).map_err(ServerError::Epoll)
    }
}
