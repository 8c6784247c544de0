//! What waits to be written to a socket.

use std::{
    collections::VecDeque,
    os::fd::{AsFd, OwnedFd},
};

use rustix::io::Errno;

use crate::sys;

/// Bytes and descriptors in the order in which they have to go out.
#[derive(Debug, Default)]
pub struct Outbox {
    chunks: VecDeque<Chunk>,
    queued: usize,
    /// Messages of our own that may not go out in the middle of another one.
    held: Vec<u8>,
}

#[derive(Debug)]
struct Chunk {
    bytes: Vec<u8>,
    sent: usize,
    fds: Vec<OwnedFd>,
}

impl Outbox {
    /// Whether nothing waits for the socket.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.chunks.is_empty()
    }

    /// Bytes that wait, held ones included.
    #[must_use]
    pub fn queued(&self) -> usize {
        self.queued + self.held.len()
    }

    /// Writes to `socket`, if there is one and nothing waits, and queues the rest.
    ///
    /// # Errors
    /// sendmsg(2), but for a full socket
    pub fn send(
        &mut self,
        socket: Option<&OwnedFd>,
        bytes: &[u8],
        fds: Vec<OwnedFd>,
    ) -> Result<(), Errno> {
        let sent = match socket {
            Some(socket) if self.is_empty() => transmit(socket, bytes, &fds)?,
            _ => 0,
        };
        let rest = bytes.get(sent..).unwrap_or_default();
        if rest.is_empty() {
            return Ok(());
        }
        let fds = if sent > 0 { Vec::new() } else { fds };
        self.queued += rest.len();
        match self.chunks.back_mut() {
            Some(last) if last.fds.is_empty() && fds.is_empty() => {
                last.bytes.extend_from_slice(rest)
            }
            _ => self.chunks.push_back(Chunk {
                bytes: rest.to_vec(),
                sent: 0,
                fds,
            }),
        }
        Ok(())
    }

    /// Keeps a message of our own until [`Self::release`].
    pub fn hold(&mut self, message: &[u8]) {
        self.held.extend_from_slice(message);
    }

    /// Sends what was held: the stream is between two messages.
    ///
    /// # Errors
    /// As [`Self::send`].
    pub fn release(&mut self, socket: Option<&OwnedFd>) -> Result<(), Errno> {
        if self.held.is_empty() {
            return Ok(());
        }
        let held = std::mem::take(&mut self.held);
        self.send(socket, &held, Vec::new())
    }

    /// Writes what waits, as far as the socket takes it.
    ///
    /// # Errors
    /// sendmsg(2), but for a full socket
    pub fn flush(&mut self, socket: &OwnedFd) -> Result<(), Errno> {
        while let Some(chunk) = self.chunks.front_mut() {
            let rest = chunk.bytes.get(chunk.sent..).unwrap_or_default();
            let sent = transmit(socket, rest, &chunk.fds)?;
            if sent == 0 {
                return Ok(());
            }
            chunk.fds.clear();
            chunk.sent += sent;
            self.queued -= sent;
            if chunk.sent == chunk.bytes.len() {
                self.chunks.pop_front();
            }
        }
        Ok(())
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        *self = Self::default();
    }
}

/// Writes; a full socket takes 0 bytes.
fn transmit(socket: impl AsFd, bytes: &[u8], fds: &[OwnedFd]) -> Result<usize, Errno> {
    loop {
        match sys::transmit(&socket, bytes, fds) {
            Err(Errno::AGAIN) => return Ok(0),
            Err(Errno::INTR) => {}
            other => return other,
        }
    }
}
