//! One socket of a link.

use std::os::fd::OwnedFd;

use crate::outbox::Outbox;

/// What to wait for, or what has come, on a socket.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Interest {
    pub(crate) read: bool,
    pub(crate) write: bool,
}

/// A socket and what waits for it.
#[derive(Debug)]
pub(crate) struct Side {
    pub(crate) socket: Option<OwnedFd>,
    pub(crate) out: Outbox,
    /// Nothing more comes from it.
    pub(crate) ended: bool,
    /// It takes nothing more; what is meant for it is thrown away, while what it sent before is
    /// still read.
    broken: bool,
    /// Whether descriptors may be sent to it.
    pub(crate) unix_fds: bool,
    /// What epoll(7) waits for at present.
    pub(crate) registered: Interest,
}

impl Side {
    pub(crate) fn new(socket: Option<OwnedFd>) -> Self {
        Self {
            socket,
            out: Outbox::default(),
            ended: false,
            broken: false,
            unix_fds: false,
            registered: Interest::default(),
        }
    }

    pub(crate) fn send(&mut self, bytes: &[u8], fds: Vec<OwnedFd>) {
        if self.broken || bytes.is_empty() {
            return;
        }
        if self.out.send(self.socket.as_ref(), bytes, fds).is_err() {
            self.give_up();
        }
    }

    pub(crate) fn release(&mut self) {
        if self.out.release(self.socket.as_ref()).is_err() {
            self.give_up();
        }
    }

    pub(crate) fn flush(&mut self) {
        let Some(socket) = &self.socket else { return };
        if self.out.flush(socket).is_err() {
            self.give_up();
        }
    }

    pub(crate) fn end(&mut self) {
        self.ended = true;
        self.give_up();
    }

    fn give_up(&mut self) {
        self.broken = true;
        self.out.clear();
    }
}
