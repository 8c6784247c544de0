//! Descriptors that outlive the agent: whoever has started it keeps duplicates, and gives them to
//! the next one (systemd's file descriptor store, sd_pid_notify_with_fds(3), `FDSTORE=1`).

use std::{
    collections::{BTreeMap, BTreeSet},
    env, io,
    os::fd::{BorrowedFd, OwnedFd},
    sync::{Mutex, MutexGuard, PoisonError},
};

use sd_notify::NotifyState;

use super::sys;

/// Keeps a descriptor also when nobody is at its other end any more, who may have left something to
/// be read (from systemd 246).
const KEEP_AFTER_HANGUP: &str = "FDPOLL=0";
/// Where the service manager listens (sd_notify(3)).
const SOCKET: &str = "NOTIFY_SOCKET";
/// How many descriptors the service manager keeps; set by systemd 254 and later, and by the unit.
const ROOM: &str = "FDSTORE";

/// Comes between the name of an owner and that of an item.
const SEPARATOR: char = '.';

/// The descriptors that the service manager keeps for the agent.
#[derive(Debug, Default)]
pub struct DescriptorStore {
    is_there: bool,
    /// What an earlier agent had it keep, by name.
    left: Mutex<BTreeMap<String, OwnedFd>>,
    /// The names of what it keeps for this agent.
    kept: Mutex<BTreeSet<String>>,
}

impl DescriptorStore {
    /// Takes over what the service manager has kept. To be called once, before anything else opens
    /// a descriptor.
    #[must_use]
    pub fn open() -> Self {
        let left = match sd_notify::listen_fds_with_names() {
            Ok(all) => all.map(|(raw, name)| (name, sys::own(raw))).collect(),
            Err(error) => {
                log::warn!("cannot take over descriptors of an earlier agent: {error}");
                BTreeMap::new()
            }
        };
        let room = env::var(ROOM).ok().and_then(|room| room.parse().ok());
        Self {
            is_there: env::var_os(SOCKET).is_some() && room > Some(0_u32),
            left: Mutex::new(left),
            kept: Mutex::default(),
        }
    }

    /// Whether there is one.
    #[must_use]
    pub fn is_there(&self) -> bool {
        self.is_there
    }

    /// Whether an earlier agent has left nothing there.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.left().is_empty()
    }

    fn left(&self) -> MutexGuard<'_, BTreeMap<String, OwnedFd>> {
        self.left.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn kept(&self) -> MutexGuard<'_, BTreeSet<String>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What an earlier agent has put there under `name`, where it stays.
    #[must_use]
    pub fn take(&self, name: &str) -> Option<OwnedFd> {
        let taken = self.left().remove(name)?;
        self.kept().insert(name.to_owned());
        Some(taken)
    }

    /// Forgets what nobody has taken, of all owners but those that are `awaited`.
    pub fn forget_left(&self, awaited: &BTreeSet<String>) {
        let is_awaited = |name: &str| awaited.contains(owner_of(name));
        let mut left = self.left();
        let names: Vec<_> = left.keys().filter(|it| !is_awaited(it)).cloned().collect();
        for name in names {
            left.remove(&name);
            self.forget(&name);
        }
    }

    /// Forgets all of one owner.
    pub fn forget_all_of(&self, owner: &str) {
        let is_its = |name: &&String| owner_of(name) == owner;
        self.left().retain(|name, _| owner_of(name) != owner);
        let names: Vec<_> = self.kept().iter().filter(is_its).cloned().collect();
        for name in names {
            self.forget(&name);
        }
    }

    /// Keeps a duplicate of `descriptor` under `name`, of at most 255 printable characters without
    /// colon.
    ///
    /// # Errors
    /// The service manager cannot be reached. (It does not tell whether it has room.)
    pub fn keep(&self, name: &str, descriptor: BorrowedFd<'_>) -> io::Result<()> {
        let state = [
            NotifyState::FdStore,
            NotifyState::FdName(name),
            NotifyState::Custom(KEEP_AFTER_HANGUP),
        ];
        sd_notify::notify_with_fds(&state, &[descriptor])?;
        self.kept().insert(name.to_owned());
        Ok(())
    }

    /// Has all duplicates under `name` closed.
    pub fn forget(&self, name: &str) {
        self.kept().remove(name);
        if !self.is_there {
            return;
        }
        let state = [NotifyState::FdStoreRemove, NotifyState::FdName(name)];
        if let Err(error) = sd_notify::notify(&state) {
            log::warn!("the service manager keeps {name}: {error}");
        }
    }
}

/// What is kept for one owner, each under a name of its own.
#[derive(Debug, Clone, Copy)]
pub struct Shelf<'a> {
    store: &'a DescriptorStore,
    owner: &'a str,
}

impl<'a> Shelf<'a> {
    /// That of `owner`, whose name has no dot.
    #[must_use]
    pub fn new(store: &'a DescriptorStore, owner: &'a str) -> Self {
        Self { store, owner }
    }

    fn name(&self, item: &str) -> String {
        format!("{}{SEPARATOR}{item}", self.owner)
    }

    /// Keeps a duplicate of `descriptor` as `item`, in the place of an earlier one.
    ///
    /// # Errors
    /// As [`DescriptorStore::keep`].
    pub fn keep(&self, item: &str, descriptor: BorrowedFd<'_>) -> io::Result<()> {
        let name = self.name(item);
        if self.store.kept().contains(&name) {
            self.store.forget(&name);
        }
        self.store.keep(&name, descriptor)
    }

    /// Has the duplicate closed, if one is kept.
    pub fn forget(&self, item: &str) {
        let name = self.name(item);
        if self.store.kept().contains(&name) {
            self.store.forget(&name);
        }
    }

    /// What an earlier agent has kept as `item`, where it stays.
    #[must_use]
    pub fn take(&self, item: &str) -> Option<OwnedFd> {
        self.store.take(&self.name(item))
    }
}

/// The owner of what is kept under `name`.
fn owner_of(name: &str) -> &str {
    name.split_once(SEPARATOR).map_or(name, |(owner, _)| owner)
}
