//! Tells when the other end of a socket is closed.

use std::{
    io,
    mem::MaybeUninit,
    os::fd::{BorrowedFd, OwnedFd},
};

use rustix::event::{Timespec, epoll};
use smol::Async;

/// Sockets of which the other end is watched (epoll(7)); one that is closed is no longer watched.
#[derive(Debug)]
pub(super) struct Peers(Async<OwnedFd>);

impl Peers {
    /// No sockets yet.
    pub(super) fn new() -> io::Result<Self> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        Ok(Self(Async::new_nonblocking(epoll)?))
    }

    /// Watches another one.
    pub(super) fn add(&self, socket: BorrowedFd<'_>) -> io::Result<()> {
        // Told once, though it stays closed.
        let events = epoll::EventFlags::RDHUP | epoll::EventFlags::ONESHOT;
        let data = epoll::EventData::new_u64(0);
        Ok(epoll::add(&self.0, socket, data, events)?)
    }

    /// Returns when one has closed.
    pub(super) async fn gone(&self) -> io::Result<()> {
        loop {
            self.0.readable().await?;
            let mut events = [MaybeUninit::uninit(); 16];
            let at_once = Timespec {
                tv_sec: 0,
                tv_nsec: 0,
            };
            let (told, _) = epoll::wait(&self.0, &mut events, Some(&at_once))?;
            if !told.is_empty() {
                return Ok(());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use std::os::{fd::AsFd as _, unix::net::UnixStream};

    #[test]
    fn closed_ones_are_told_once_each() {
        let peers = Peers::new().unwrap();
        let (first, first_peer) = UnixStream::pair().unwrap();
        let (second, second_peer) = UnixStream::pair().unwrap();
        let (third, _third_peer) = UnixStream::pair().unwrap();
        for socket in [&first, &second, &third] {
            peers.add(socket.as_fd()).unwrap();
        }
        let told = || smol::block_on(smol::future::poll_once(peers.gone())).is_some();
        assert!(!told());
        drop(first_peer);
        smol::block_on(peers.gone()).unwrap();
        assert!(!told());
        drop((second, second_peer));
        assert!(!told());
    }
}
