//! Tells when something on the host that containers have was made anew or removed.

mod endings;
mod peers;
mod uevents;

use std::{
    collections::BTreeSet,
    ffi::{OsStr, OsString},
    fs::File,
    io,
    mem::MaybeUninit,
    os::{
        fd::{AsFd as _, BorrowedFd, OwnedFd},
        unix::ffi::OsStrExt as _,
    },
    path::{Path, PathBuf},
    sync::{Mutex, OnceLock, PoisonError},
    thread,
    time::Duration,
};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use rustix::{
    fs::inotify::{self, CreateFlags, ReadFlags, Reader, WatchFlags},
    io::Errno,
};
use smol::{
    Async, Timer,
    channel::{Receiver, Sender, bounded},
};

use super::mountinfo;
pub use endings::Ending;
use endings::Endings;
use peers::Peers;
use uevents::Uevents;

/// When [`HostWatch::look_again`] is due.
const LOOK_AGAIN_AFTER: Duration = Duration::from_secs(1);

/// Watches the directories of files, sockets and devices that containers have (inotify(7)); those
/// that nobody uses are not watched.
#[derive(Debug)]
pub struct HostWatch {
    inotify: Async<OwnedFd>,
    names: Mutex<BTreeSet<OsString>>,
    endings: Endings,
    /// Where the agent itself mounts, which is not of interest.
    own: Vec<PathBuf>,
    mounts: OnceLock<()>,
    told: (Sender<()>, Receiver<()>),
    again: (Sender<()>, Receiver<()>),
    devices: OnceLock<Uevents>,
    peers: Peers,
}

impl HostWatch {
    /// A watch on nothing yet. What is mounted in the directories `own` is never of interest.
    ///
    /// # Errors
    /// From inotify_init1(2) and epoll_create1(2).
    pub fn new(own: Vec<PathBuf>) -> io::Result<Self> {
        let inotify = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)?;
        Ok(Self {
            inotify: Async::new_nonblocking(inotify)?,
            names: Mutex::default(),
            endings: Endings::default(),
            own,
            mounts: OnceLock::new(),
            told: bounded(1),
            again: bounded(1),
            devices: OnceLock::new(),
            peers: Peers::new()?,
        })
    }

    /// Watches from now on for mounts; a repeat changes nothing.
    ///
    /// The list of mounts tells of changes by poll(2) only (proc_pid_mountinfo(5)), in a way that
    /// an event loop can miss, so a thread waits for them.
    ///
    /// # Errors
    /// No thread can be started.
    pub fn follow_mounts(&self) -> io::Result<()> {
        if self.mounts.set(()).is_err() {
            return Ok(());
        }
        let list = File::open(mountinfo::LIST)?;
        let (own, tell) = (self.own.clone(), self.told.0.clone());
        let foreign = move || {
            let mut all = mountinfo::all().unwrap_or_default();
            all.retain(|mount| !own.iter().any(|own| mount.point.starts_with(own)));
            all
        };
        let mut known = foreign();
        let wait = move || {
            loop {
                let mut wanted = [PollFd::new(list.as_fd(), PollFlags::POLLPRI)];
                match poll(&mut wanted, PollTimeout::NONE) {
                    Ok(_) | Err(nix::Error::EINTR) => {}
                    Err(error) => return log::error!("cannot watch for mounts: {error}"),
                }
                let now = foreign();
                if now != known {
                    known = now;
                    // Full: it is told already.
                    let _ = tell.try_send(());
                }
            }
        };
        thread::Builder::new()
            .name("mounts".to_owned())
            .stack_size(128 << 10)
            .spawn(wait)
            .map(drop)
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

    /// Watches from now on for the end of the file system whose root is open, which comes when it
    /// is mounted nowhere any more and nobody uses a file of it.
    ///
    /// # Errors
    /// From inotify_add_watch(2).
    pub fn follow_end(&self, root: BorrowedFd<'_>) -> io::Result<Ending> {
        self.endings.add(self.inotify.as_fd(), root)
    }

    /// Watches from now on for devices of a subsystem of the kernel; a repeat changes nothing.
    /// Nobody else's devices are listened to.
    ///
    /// # Errors
    /// The kernel's messages cannot be had.
    pub fn follow_devices(&self, subsystem: &str) -> io::Result<()> {
        if self.devices.get().is_none() {
            let listening = Uevents::listen()?;
            // Another container may have been quicker.
            if self.devices.set(listening).is_ok() {
                // So that `changed`, which waits already, looks here, too.
                let _ = self.told.0.try_send(());
            }
        }
        if let Some(devices) = self.devices.get() {
            devices.add(subsystem);
        }
        Ok(())
    }

    /// Watches from now on for the other end of a socket to close.
    ///
    /// # Errors
    /// From epoll_ctl(2).
    pub fn follow_peer(&self, socket: BorrowedFd<'_>) -> io::Result<()> {
        self.peers.add(socket)
    }

    /// Something that the agent itself knows of has changed.
    pub fn tell(&self) {
        // Full: it is told already.
        let _ = self.told.0.try_send(());
    }

    /// Has [`Self::changed`] return in a second, as if something had been made anew: for what the
    /// host does not tell of.
    pub fn look_again(&self) {
        // Full: it will.
        let _ = self.again.0.try_send(());
    }

    /// Returns when something may have been made anew or removed.
    ///
    /// # Errors
    /// From read(2).
    pub async fn changed(&self) -> io::Result<()> {
        let told = async {
            // The other end is here as well.
            let _ = self.told.1.recv().await;
            Ok(())
        };
        let devices = async {
            match self.devices.get() {
                Some(devices) => devices.changed().await,
                None => smol::future::pending().await,
            }
        };
        let again = async {
            let _ = self.again.1.recv().await;
            Timer::after(LOOK_AGAIN_AFTER).await;
            Ok(())
        };
        let told = smol::future::or(told, again);
        let changed = smol::future::or(told, self.names_changed());
        let gone = smol::future::or(devices, self.peers.gone());
        smol::future::or(changed, gone).await
    }

    async fn names_changed(&self) -> io::Result<()> {
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
                    if event.events().contains(ReadFlags::UNMOUNT) {
                        self.endings.tell(event.wd());
                    }
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
