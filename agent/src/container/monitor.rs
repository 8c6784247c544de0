//! LXC's monitor of a container: the process that started the init and cleans up after it.
//!
//! liblxc calls a container stopped while its monitor still runs, and leaves cgroups of the monitor
//! behind on hosts with cgroup v1. A container of the same name could then not be made again at
//! once.

use std::{
    collections::BTreeSet,
    fs, io,
    os::{
        fd::{AsFd as _, OwnedFd},
        unix::fs::MetadataExt as _,
    },
    path::PathBuf,
    time::Duration,
};

use nix::sys::wait::{Id, WaitPidFlag, waitid};
use rustix::process::{Signal, pidfd_send_signal};

use super::lxc_cgroups::LxcCgroups;
use crate::host::{
    cgroup::{
        Cgroups,
        members::{self, parent_of, pidfd},
    },
    wait,
};

/// How long a monitor may take to notice the end of its init.
const REAP_LIMIT: Duration = Duration::from_millis(200);

/// A running monitor.
#[derive(Debug)]
pub struct Monitor {
    process: OwnedFd,
    /// With their inode numbers: another agent's container may soon have cgroups of the same names.
    cgroups: BTreeSet<(PathBuf, u64)>,
}

impl Monitor {
    /// The monitor of the container whose init is process `init` and whose cgroups are `names`.
    ///
    /// # Errors
    /// The system's, when the init or its parent is gone.
    pub(super) fn of_init(init: u32, names: &LxcCgroups) -> io::Result<Self> {
        let parent = parent_of(init).filter(|&parent| parent > 1);
        let parent = parent.ok_or(io::ErrorKind::NotFound)?;
        let process = pidfd(parent)?;
        let mut cgroups = BTreeSet::new();
        for pid in [init, parent] {
            let own = Cgroups::of_process(pid).map_err(io::Error::other)?;
            cgroups.extend(
                own.directories()
                    .into_iter()
                    .filter(|path| names.include(path))
                    .filter_map(|path| {
                        let inode = fs::metadata(&path).ok()?.ino();
                        Some((path, inode))
                    }),
            );
        }
        Ok(Self { process, cgroups })
    }

    /// How many processes are in the container's cgroups and its own.
    pub fn processes(&self) -> usize {
        let counts = self.cgroups.iter().map(|(path, _)| members::count(path));
        counts.max().unwrap_or(0)
    }

    /// Stops the monitor until [`Monitor::resume`] or [`Monitor::kill`]. When the init ends, it
    /// would begin to remove the container's interface, and hold up everybody else who changes
    /// interfaces until the kernel has gone through with it.
    pub fn pause(&self) {
        // An error means that it has ended already.
        let _ = pidfd_send_signal(&self.process, Signal::STOP);
    }

    /// Lets it go on.
    pub fn resume(&self) {
        let _ = pidfd_send_signal(&self.process, Signal::CONT);
    }

    /// Ends the monitor at once, before it cleans up. To be called when no process of the container
    /// is left; what the monitor would do then, [`Monitor::finish`] and the removal of the
    /// container's interface do without its waits.
    pub fn kill(&self, init: &OwnedFd) {
        self.resume();
        // It is the init's parent, and soon reaps it: a signal then finds nobody. Else the init
        // would be left to the system's.
        wait::until(REAP_LIMIT, || {
            pidfd_send_signal(init, Signal::CONT).is_err()
        });
        // An error means that it has ended already.
        let _ = pidfd_send_signal(&self.process, Signal::KILL);
    }

    /// Waits for the monitor's end, ends it by force after `limit`, and removes the cgroups that it
    /// left.
    ///
    /// # Errors
    /// The first cgroup that could not be removed.
    pub fn finish(&self, init: &OwnedFd, limit: Duration) -> Result<(), (PathBuf, io::Error)> {
        if !wait::ended(&self.process, limit) {
            self.kill(init);
            wait::ended(&self.process, limit);
        }
        // Until it is reaped its cgroups stay busy. The monitor of a container that an earlier
        // agent made is not our child; the system's init reaps it. An init whose monitor was killed
        // before it becomes our child, too.
        for process in [&self.process, init] {
            let flags = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG;
            let _ = waitid(Id::PIDFd(process.as_fd()), flags);
        }
        let mut result = Ok(());
        for (path, inode) in &self.cgroups {
            if !fs::metadata(path).is_ok_and(|metadata| metadata.ino() == *inode) {
                continue;
            }
            if let Err(error) = members::remove(path) {
                result = result.and(Err((path.clone(), error)));
            }
        }
        result
    }
}
