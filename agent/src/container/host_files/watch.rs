//! Tells when something has changed in directories of the host (inotify(7)).

use std::{
    collections::{BTreeMap, BTreeSet},
    ffi::{OsStr, OsString},
    io,
    mem::MaybeUninit,
    os::{
        fd::{AsFd as _, OwnedFd},
        unix::ffi::OsStrExt as _,
    },
    path::Path,
    sync::{Mutex, MutexGuard, PoisonError},
};

use rustix::{
    fs::inotify::{self, CreateFlags, ReadFlags, Reader, WatchFlags},
    io::Errno,
};
use smol::Async;

/// What matters in a directory.
#[derive(Debug)]
enum Interest {
    Everything,
    Names(BTreeSet<OsString>),
}

/// Watched directories by inotify's number for them.
type Directories = BTreeMap<i32, Interest>;

/// A watch on directories, whose set is found anew in rounds: what is not asked for again in a
/// round is not watched any more.
#[derive(Debug)]
pub(super) struct Watch {
    inotify: Async<OwnedFd>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    watched: Directories,
    asked_for: Directories,
}

impl Watch {
    /// A watch on nothing yet.
    ///
    /// # Errors
    /// From inotify_init1(2).
    pub fn new() -> io::Result<Self> {
        let inotify = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)?;
        Ok(Self {
            inotify: Async::new_nonblocking(inotify)?,
            state: Mutex::default(),
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins a round.
    pub fn begin(&self) {
        self.state().asked_for.clear();
    }

    /// Watches `name` in `directory` from now on, or everything in it. Where there is no such
    /// directory, its coming is watched for.
    pub fn add(&self, directory: &Path, name: Option<&OsStr>) {
        let events = WatchFlags::CREATE
            | WatchFlags::MOVED_TO
            | WatchFlags::MOVED_FROM
            | WatchFlags::DELETE
            | WatchFlags::CLOSE_WRITE
            | WatchFlags::ATTRIB
            | WatchFlags::DELETE_SELF
            | WatchFlags::MOVE_SELF
            | WatchFlags::ONLYDIR;
        let (mut directory, mut name) = (directory, name);
        let number = loop {
            match inotify::add_watch(self.inotify.as_fd(), directory, events) {
                Ok(number) => break number,
                Err(Errno::NOENT | Errno::NOTDIR) => {
                    let (Some(above), Some(missing)) = (directory.parent(), directory.file_name())
                    else {
                        return;
                    };
                    (directory, name) = (above, Some(missing));
                }
                Err(errno) => {
                    let directory = directory.display();
                    log::warn!("cannot watch {directory}: {errno}; changes there are not seen");
                    return;
                }
            }
        };
        let mut state = self.state();
        let names = || Interest::Names(BTreeSet::new());
        let interest = state.asked_for.entry(number).or_insert_with(names);
        match (interest, name) {
            (interest, None) => *interest = Interest::Everything,
            (Interest::Names(names), Some(name)) => drop(names.insert(name.to_owned())),
            (Interest::Everything, Some(_)) => {}
        }
    }

    /// Ends a round.
    pub fn end(&self) {
        let mut state = self.state();
        let asked_for = std::mem::take(&mut state.asked_for);
        let before = std::mem::replace(&mut state.watched, asked_for);
        for number in before.keys() {
            if !state.watched.contains_key(number) {
                // One whose directory is gone has gone with it.
                let _ = inotify::remove_watch(self.inotify.as_fd(), *number);
            }
        }
    }

    /// Returns when there was a change since the last round, or as soon as there is one.
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

    /// Takes all events, and tells whether one matters.
    fn drain(&self) -> io::Result<bool> {
        let state = self.state();
        let mut buffer = [MaybeUninit::uninit(); 4096];
        let mut reader = Reader::new(self.inotify.as_fd(), &mut buffer);
        let mut found = false;
        loop {
            match reader.next() {
                Ok(event) => {
                    let name = event.file_name().map(|it| OsStr::from_bytes(it.to_bytes()));
                    found |= match (state.watched.get(&event.wd()), name) {
                        (Some(Interest::Names(names)), Some(name)) => names.contains(name),
                        // The directory itself, or anything in it.
                        (Some(_), _) => true,
                        (None, _) => event.events().contains(ReadFlags::QUEUE_OVERFLOW),
                    };
                }
                Err(Errno::AGAIN) => return Ok(found),
                Err(errno) => return Err(errno.into()),
            }
        }
    }
}
