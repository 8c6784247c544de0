//! The agent's own cgroups.

use std::{
    collections::BTreeSet,
    path::PathBuf,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
};

use super::{CgroupError, Cgroups, write};
use crate::{error_chain::Chain, host::process::Watched};

/// The cgroups that the agent was started in, to return to.
///
/// liblxc moves the process that starts a container to the cgroup of the container's monitor. Left
/// there, the agent would keep that cgroup busy, and be no part of its systemd unit any more. The
/// way back takes as long as liblxc's whole start, because the kernel waits for all processors, so
/// nobody waits for it but who starts a process that stays: it begins where its parent is.
#[derive(Debug)]
pub struct OwnCgroups {
    directories: BTreeSet<PathBuf>,
    moves: Mutex<Moves>,
    changed: Condvar,
}

/// How many calls have taken the process into a monitor's cgroup, and how many wait until none has.
#[derive(Debug, Default)]
struct Moves {
    in_monitors: usize,
    waiting: usize,
}

impl OwnCgroups {
    /// The cgroups that this process is in now.
    ///
    /// # Errors
    /// [`CgroupError::Read`].
    pub fn remember() -> Result<Arc<Self>, CgroupError> {
        Ok(Arc::new(Self {
            directories: Cgroups::of_process(std::process::id())?.directories(),
            moves: Mutex::default(),
            changed: Condvar::new(),
        }))
    }

    /// Lets the kernel make itself ready for processes that move between cgroups, in a thread. It
    /// waits for all processors then, some ten milliseconds, but not again for the moves that soon
    /// follow: a container is prepared meanwhile.
    pub fn expect_moves(self: &Arc<Self>) {
        let own = self.clone();
        let moved = move || {
            // To where it is: a failure, or not being there, would change nothing but the time.
            if let Some(directory) = own.directories.first() {
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
    pub fn enter_monitors(self: &Arc<Self>) -> InMonitors {
        let mut moves = self.moves();
        while moves.waiting > 0 {
            moves = self.wait(moves);
        }
        moves.in_monitors += 1;
        InMonitors(self.clone())
    }

    /// Starts a process that is to be in the agent's own cgroups.
    pub fn start_here<T>(&self, start: impl FnOnce() -> T) -> T {
        let mut moves = self.moves();
        moves.waiting += 1;
        while moves.in_monitors > 0 {
            moves = self.wait(moves);
        }
        drop(moves);
        let started = start();
        self.moves().waiting -= 1;
        self.changed.notify_all();
        started
    }

    /// Takes in a process that was started while this one was in a monitor's cgroup.
    ///
    /// # Errors
    /// [`CgroupError`].
    pub(super) fn take_in(&self, process: &Watched) -> Result<(), CgroupError> {
        let pid = process.pid();
        let now = Cgroups::of_process(pid)?.directories();
        for directory in self.directories.difference(&now) {
            write(&directory.join("cgroup.procs"), &pid.to_string())?;
        }
        Ok(())
    }

    /// Moves this process back, with all of its threads, where it is somewhere else.
    fn return_there(&self) -> Result<(), CgroupError> {
        let now = Cgroups::of_process(std::process::id())?.directories();
        for directory in self.directories.difference(&now) {
            write(&directory.join("cgroup.procs"), "0")?;
        }
        Ok(())
    }

    /// Moves this process back at once, for whoever has to remove a cgroup that it may be in.
    pub fn come_back(&self) {
        if let Err(error) = self.return_there() {
            log::error!(
                "the agent cannot return from the cgroup of LXC's monitor: {}",
                Chain(&error)
            );
        }
    }

    fn back(&self) {
        self.come_back();
        self.moves().in_monitors -= 1;
        self.changed.notify_all();
    }

    /// The counts are right also after a panic elsewhere.
    fn moves(&self) -> MutexGuard<'_, Moves> {
        self.moves.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(&self, moves: MutexGuard<'a, Moves>) -> MutexGuard<'a, Moves> {
        self.changed
            .wait(moves)
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// Says that the agent may be in the cgroup of a container's monitor.
#[derive(Debug)]
pub struct InMonitors(Arc<OwnCgroups>);

impl Drop for InMonitors {
    fn drop(&mut self) {
        let own = self.0.clone();
        let thread = thread::Builder::new().name("cgroup".to_owned());
        if thread.spawn(move || own.back()).is_err() {
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
    fn a_process_that_stays_is_started_only_while_nobody_is_inside() {
        let own = OwnCgroups::remember().unwrap();
        let inside = own.enter_monitors();
        let (sender, receiver) = mpsc::channel();
        let other = own.clone();
        let starter = thread::spawn(move || other.start_here(|| sender.send(()).unwrap()));
        assert!(receiver.recv_timeout(MOMENT).is_err());
        drop(inside);
        receiver.recv_timeout(Duration::from_secs(10)).unwrap();
        starter.join().unwrap();
    }

    #[test]
    fn no_call_takes_it_away_while_a_process_is_started() {
        let own = OwnCgroups::remember().unwrap();
        let (sender, receiver) = mpsc::channel();
        let other = own.clone();
        let taker = own.start_here(|| {
            let taker = thread::spawn(move || {
                let _inside = other.enter_monitors();
                sender.send(()).unwrap();
            });
            assert!(receiver.recv_timeout(MOMENT).is_err());
            taker
        });
        receiver.recv_timeout(Duration::from_secs(10)).unwrap();
        taker.join().unwrap();
    }
}
