//! The ends of file systems that are mounted nowhere any more, but may still be in use.

use std::{
    collections::HashMap,
    io,
    os::fd::{AsRawFd as _, BorrowedFd},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use rustix::fs::inotify::{self, WatchFlags};

/// Whether a file system has ended.
#[derive(Debug)]
pub struct Ending(Arc<AtomicBool>);

impl Ending {
    /// Whether nobody uses it any more.
    pub fn is_over(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

/// Those that are waited for, by their watch.
#[derive(Debug, Default)]
pub(super) struct Endings(Mutex<HashMap<i32, Arc<AtomicBool>>>);

impl Endings {
    fn all(&self) -> MutexGuard<'_, HashMap<i32, Arc<AtomicBool>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A watch holds an inode, and that does not keep its file system: the kernel tells of the end
    /// with IN_UNMOUNT, which needs not be asked for (inotify(7)).
    pub(super) fn add(&self, inotify: BorrowedFd<'_>, root: BorrowedFd<'_>) -> io::Result<Ending> {
        let root = format!("/proc/self/fd/{}", root.as_raw_fd());
        // Held, so that what is told at once finds its entry.
        let mut all = self.all();
        let watch = inotify::add_watch(inotify, root, WatchFlags::DELETE_SELF)?;
        let over = all.entry(watch).or_default();
        Ok(Ending(over.clone()))
    }

    /// The file system of this watch has ended.
    pub(super) fn tell(&self, watch: i32) {
        if let Some(over) = self.all().remove(&watch) {
            over.store(true, Ordering::Release);
        }
    }
}
