//! Descriptors that outlive the agent: whoever has started it keeps duplicates, and gives them to
//! the next one (systemd's file descriptor store, sd_pid_notify_with_fds(3), `FDSTORE=1`).

use std::{
    collections::BTreeMap,
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

/// The descriptors that the service manager keeps for the agent.
#[derive(Debug, Default)]
pub struct DescriptorStore {
    is_there: bool,
    /// What an earlier agent had it keep, by name.
    left: Mutex<BTreeMap<String, OwnedFd>>,
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

    /// What an earlier agent has put there under `name`.
    #[must_use]
    pub fn take(&self, name: &str) -> Option<OwnedFd> {
        self.left().remove(name)
    }

    /// Forgets what nobody has taken.
    pub fn forget_left(&self) {
        for name in std::mem::take(&mut *self.left()).into_keys() {
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
        sd_notify::notify_with_fds(&state, &[descriptor])
    }

    /// Has all duplicates under `name` closed.
    pub fn forget(&self, name: &str) {
        if !self.is_there {
            return;
        }
        let state = [NotifyState::FdStoreRemove, NotifyState::FdName(name)];
        if let Err(error) = sd_notify::notify(&state) {
            log::warn!("the service manager keeps {name}: {error}");
        }
    }
}
