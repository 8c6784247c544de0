//! Tells when something on the host that containers have was made anew or removed.

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

/// Watches the directories of files, sockets and devices that containers have (inotify(7)); those
/// that nobody uses are not watched.
#[derive(Debug)]
pub struct HostWatch {
    inotify: Async<OwnedFd>,
    names: Mutex<BTreeSet<OsString>>,
}

impl HostWatch {
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

    /// Watches from now on for what comes to `path` or goes from there; a repeat changes nothing.
    /// Where its directory is missing, the nearest one that is there is watched: repeat this after
    /// a change.
    ///
    /// # Errors
    /// From inotify_add_watch(2).
    pub fn add(&self, path: &Path) -> io::Result<()> {
        let events = WatchFlags::CREATE
            | WatchFlags::MOVED_TO
            | WatchFlags::MOVED_FROM
            | WatchFlags::DELETE
            | WatchFlags::ONLYDIR;
        for path in path.ancestors() {
            let (Some(directory), Some(name)) = (path.parent(), path.file_name()) else {
                continue;
            };
            match inotify::add_watch(self.inotify.as_fd(), directory, events) {
                Err(Errno::NOENT | Errno::NOTDIR) => {}
                Err(errno) => return Err(errno.into()),
                Ok(_) => {
                    let mut names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
                    names.insert(name.to_owned());
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// Returns when something may have been made anew or removed.
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

    /// Takes all events, and tells whether one was about something that is watched.
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
