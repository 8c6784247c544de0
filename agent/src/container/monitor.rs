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
    path::{Path, PathBuf},
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

/// How liblxc calls the process of a monitor: followed by LXC's path, a blank, and the container's
/// name. From the moment of its first fork, before it makes or enters any cgroup.
const TITLE: &str = "[lxc monitor] ";

/// Ends monitors of containers in `lxc_path` that `is_ours` names, and processes that are about to
/// become such, with which a killed agent had just begun to start a container: they would go on
/// with it.
pub(super) fn end_all_of(lxc_path: &Path, is_ours: impl Fn(&str) -> bool, limit: Duration) {
    let Ok(lxc_path) = fs::canonicalize(lxc_path) else {
        return;
    };
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let found: Vec<OwnedFd> = pids
        .filter_map(|pid| {
            let process = pidfd(pid).ok()?;
            // Read with the process held, so that it is what is ended.
            let line = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
            let (path, name) = parse_title(&line)?;
            let is_ours = is_ours(name) && fs::canonicalize(path).is_ok_and(|it| it == lxc_path);
            is_ours.then_some(process)
        })
        .collect();
    for process in &found {
        // An error means that it has ended.
        let _ = pidfd_send_signal(process, Signal::KILL);
    }
    for process in &found {
        wait::ended(process, limit);
    }
}

/// LXC's path and the container's name in the command line of a monitor.
fn parse_title(line: &[u8]) -> Option<(&Path, &str)> {
    let line = line.split(|byte| *byte == 0).next()?;
    let (path, name) = str::from_utf8(line)
        .ok()?
        .strip_prefix(TITLE)?
        .rsplit_once(' ')?;
    Some((Path::new(path), name))
}

/// A running monitor.
#[derive(Debug)]
pub struct Monitor {
    pid: u32,
    process: OwnedFd,
    names: LxcCgroups,
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
        let names = names.clone();
        Ok(Self {
            pid: parent,
            process,
            names,
            cgroups,
        })
    }

    /// The names of the container's cgroups and its own. A monitor that was killed while its
    /// container was created is in no cgroup by which they could be found.
    pub(super) fn cgroup_names(&self) -> &LxcCgroups {
        &self.names
    }

    /// Its process ID.
    pub(super) fn pid(&self) -> u32 {
        self.pid
    }

    /// Whether the container and it are where they are looked for.
    pub(super) fn has_cgroups(&self) -> bool {
        !self.cgroups.is_empty()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_monitor_is_known_by_its_title_and_nothing_else_is() {
        let title = parse_title(b"[lxc monitor] /var/lib/my lxc SC-3\0\0");
        assert_eq!(title, Some((Path::new("/var/lib/my lxc"), "SC-3")));
        for other in [
            &b"lxc monitor /x SC-3"[..],
            b"[lxc monitor] /x",
            b"",
            b"\xff",
        ] {
            assert_eq!(parse_title(other), None);
        }
    }
}
