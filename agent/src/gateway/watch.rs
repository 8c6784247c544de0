//! Tells when a server on the host has made its socket anew.

use std::{
    collections::BTreeSet,
    ffi::{OsStr, OsString},
    io,
    mem::MaybeUninit,
    os::{
        fd::{AsFd as _, OwnedFd},
        unix::ffi::OsStrExt as _,
    },
    path::Path,
    sync::{Mutex, PoisonError},
};

use rustix::{
    fs::inotify::{self, CreateFlags, Reader, WatchFlags},
    io::Errno,
};
use smol::Async;

/// Watches the directories of sockets that containers see (inotify(7)); those of servers that
/// nobody uses are not watched.
#[derive(Debug)]
pub struct SocketWatch {
    inotify: Async<OwnedFd>,
    names: Mutex<BTreeSet<OsString>>,
}

impl SocketWatch {
    /// A watch on nothing yet.
    ///
    /// # Errors
    /// From inotify_init1(2).
    pub fn new() -> io::Result<Self> {
        let inotify = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)?;
        Ok(Self {
            inotify: Async::new_nonblocking(inotify)?,
            names: Mutex::default(),
        })
    }

    /// Watches for successors of a socket from now on; a repeat changes nothing.
    ///
    /// # Errors
    /// From inotify_add_watch(2).
    pub fn add(&self, socket: &Path) -> io::Result<()> {
        let (Some(directory), Some(name)) = (socket.parent(), socket.file_name()) else {
            return Ok(());
        };
        let events = WatchFlags::CREATE | WatchFlags::MOVED_TO | WatchFlags::ONLYDIR;
        inotify::add_watch(self.inotify.as_fd(), directory, events)?;
        let mut names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
        names.insert(name.to_owned());
        Ok(())
    }

    /// Returns when a socket may have been made anew.
    ///
    /// # Errors
    /// From read(2).
    pub async fn changed(&self) -> io::Result<()> {
        loop {
            self.inotify.readable().await?;
            if self.drain()? {
                return Ok(());
            }
        }
    }

    /// Takes all events, and tells whether one was about a socket.
    fn drain(&self) -> io::Result<bool> {
        let names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
        let mut buffer = [MaybeUninit::uninit(); 4096];
        let mut reader = Reader::new(self.inotify.as_fd(), &mut buffer);
        let mut found = false;
        loop {
            match reader.next() {
                // No name: events were lost, so there may have been one.
                Ok(event) => {
                    found |= event
                        .file_name()
                        .is_none_or(|name| names.contains(OsStr::from_bytes(name.to_bytes())));
                }
                Err(Errno::AGAIN) => return Ok(found),
                Err(errno) => return Err(errno.into()),
            }
        }
    }
}
