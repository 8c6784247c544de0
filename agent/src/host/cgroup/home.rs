//! The agent's own cgroups.

use std::{
    collections::BTreeSet,
    path::PathBuf,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
};

use super::{CgroupError, Cgroups, write};

/// The cgroups that the agent was started in, to return to.
///
/// liblxc moves the process that starts a container to the cgroup of the container's monitor. Left
/// there, the agent would keep that cgroup busy, and be no part of its systemd unit any more. The
/// way back takes as long as liblxc's whole start, because the kernel waits for all processors, so
/// nobody waits for it but who starts a process that stays: it begins where its parent is.
#[derive(Debug)]
pub struct Home {
    directories: BTreeSet<PathBuf>,
    traffic: Mutex<Traffic>,
    changed: Condvar,
}

/// Who is on the way, and who waits until nobody is.
#[derive(Debug, Default)]
struct Traffic {
    away: usize,
    waiting: usize,
}

impl Home {
    /// The cgroups that this process is in now.
    ///
    /// # Errors
    /// [`CgroupError::Read`].
    pub fn remember() -> Result<Arc<Self>, CgroupError> {
        Ok(Arc::new(Self {
            directories: Cgroups::of_process(std::process::id())?.directories(),
            traffic: Mutex::default(),
            changed: Condvar::new(),
        }))
    }

    /// Lets the kernel make itself ready for processes that move between cgroups, in a thread. It
    /// waits for all processors then, some ten milliseconds, but not again for the moves that soon
    /// follow: a container is prepared meanwhile.
    pub fn expect_moves(self: &Arc<Self>) {
        let home = self.clone();
        let moved = move || {
            // To where it is: a failure, or not being there, would change nothing but the time.
            if let Some(directory) = home.directories.first() {
                let _ = write(&directory.join("cgroup.procs"), "0");
            }
        };
        let _ = thread::Builder::new()
            .name("cgroup".to_owned())
            .spawn(moved);
    }

    /// To be called before liblxc starts a container; the process returns when the result is
    /// dropped.
    #[must_use]
    pub fn leave(self: &Arc<Self>) -> Away {
        let mut traffic = self.traffic();
        while traffic.waiting > 0 {
            traffic = self.wait(traffic);
        }
        traffic.away += 1;
        Away(self.clone())
    }

    /// Starts a process that is to be in the agent's own cgroups.
    pub fn start_here<T>(&self, start: impl FnOnce() -> T) -> T {
        let mut traffic = self.traffic();
        traffic.waiting += 1;
        while traffic.away > 0 {
            traffic = self.wait(traffic);
        }
        drop(traffic);
        let started = start();
        self.traffic().waiting -= 1;
        self.changed.notify_all();
        started
    }

    /// Moves this process back, with all of its threads, where it is somewhere else.
    fn return_there(&self) -> Result<(), CgroupError> {
        let now = Cgroups::of_process(std::process::id())?.directories();
        for directory in self.directories.difference(&now) {
            write(&directory.join("cgroup.procs"), "0")?;
        }
        Ok(())
    }

    fn back(&self) {
        if let Err(error) = self.return_there() {
            log::error!("the agent cannot return from the cgroup of LXC's monitor: {error}");
        }
        self.traffic().away -= 1;
        self.changed.notify_all();
    }

    /// The counts are right also after a panic elsewhere.
    fn traffic(&self) -> MutexGuard<'_, Traffic> {
        self.traffic.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(&self, traffic: MutexGuard<'a, Traffic>) -> MutexGuard<'a, Traffic> {
        self.changed
            .wait(traffic)
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// Says that the agent may be away from its cgroups.
#[derive(Debug)]
pub struct Away(Arc<Home>);

impl Drop for Away {
    fn drop(&mut self) {
        let home = self.0.clone();
        let thread = thread::Builder::new().name("cgroup".to_owned());
        if thread.spawn(move || home.back()).is_err() {
            self.0.back();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{sync::mpsc, time::Duration};

    use super::*;

    /// Long enough that a thread which is let through has been so.
    const MOMENT: Duration = Duration::from_millis(50);

    #[test]
    fn a_process_that_stays_is_started_only_while_nobody_is_away() {
        let home = Home::remember().unwrap();
        let away = home.leave();
        let (sender, receiver) = mpsc::channel();
        let other = home.clone();
        let starter = thread::spawn(move || other.start_here(|| sender.send(()).unwrap()));
        assert!(receiver.recv_timeout(MOMENT).is_err());
        drop(away);
        receiver.recv_timeout(Duration::from_secs(10)).unwrap();
        starter.join().unwrap();
    }

    #[test]
    fn nobody_leaves_while_a_process_is_started() {
        let home = Home::remember().unwrap();
        let (sender, receiver) = mpsc::channel();
        let other = home.clone();
        let leaver = home.start_here(|| {
            let leaver = thread::spawn(move || {
                let _away = other.leave();
                sender.send(()).unwrap();
            });
            assert!(receiver.recv_timeout(MOMENT).is_err());
            leaver
        });
        receiver.recv_timeout(Duration::from_secs(10)).unwrap();
        leaver.join().unwrap();
    }
}
