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
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use super::ContainerError;
use crate::host::{cgroup::Cgroups, wait};

/// The system's first process, beside whose cgroups liblxc makes its own.
const SYSTEM_INIT: u32 = 1;
/// How the names of LXC's own cgroups begin (lxc.container.conf(5), `lxc.cgroup.dir`).
const OWN_CGROUPS: [&str; 2] = ["lxc.monitor.", "lxc.payload."];

/// How long a monitor may take to notice the end of its init.
const REAP_LIMIT: Duration = Duration::from_millis(200);
/// How long a cgroup may stay busy after its last process has ended.
const BUSY_LIMIT: Duration = Duration::from_secs(2);

/// Removes the cgroups called `name` that liblxc leaves when a start fails; on hosts with cgroup v1
/// those of the monitor.
///
/// # Errors
/// Every cgroup that could not be removed; the others are removed all the same.
pub(super) fn remove_left(name: &str) -> Vec<ContainerError> {
    let bases = match Cgroups::of_process(SYSTEM_INIT) {
        Ok(cgroups) => cgroups.directories(),
        Err(error) => return vec![ContainerError::Cgroup(error)],
    };
    let mut errors = Vec::new();
    for base in bases {
        // liblxc's cgroups are beside that of systemd itself, not in it.
        let base = match base.file_name() {
            Some(last) if last == "init.scope" => base.parent().unwrap_or(&base).to_owned(),
            _ => base,
        };
        let left = children(&base)
            .into_iter()
            .filter(|path| is_cgroup_of(name, path));
        for path in left {
            if let Err(source) = remove_cgroup(&path) {
                errors.push(ContainerError::Remove { path, source });
            }
        }
    }
    errors
}

/// Whether liblxc gives such a cgroup to container `name`. It adds a number to a name that is
/// taken.
fn is_cgroup_of(name: &str, path: &Path) -> bool {
    let file_name = path.file_name().and_then(|name| name.to_str());
    let rest = file_name.and_then(|file_name| {
        OWN_CGROUPS
            .iter()
            .find_map(|own| file_name.strip_prefix(own)?.strip_prefix(name))
    });
    rest.is_some_and(|rest| match rest.strip_prefix('-') {
        Some(number) => !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()),
        None => rest.is_empty(),
    })
}

/// Lets the monitor of container `name` in `lxc_path` go on, if an agent was killed after it had
/// paused it: liblxc would wait for its answers for ever. It is found by its title, which liblxc
/// sets; another process with that title gets a signal that does nothing to it.
pub(super) fn wake(lxc_path: &Path, name: &str) {
    let title = format!("[lxc monitor] {} {name}", lxc_path.display());
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    for process in processes {
        let has_title = fs::read(process.path().join("cmdline")).is_ok_and(|line| {
            line.trim_ascii_end().split(|&b| b == 0).next() == Some(title.as_bytes())
        });
        let pid = process
            .file_name()
            .to_str()
            .and_then(|pid| pid.parse().ok());
        if let (true, Some(process)) = (has_title, pid.and_then(|pid| pidfd(pid).ok())) {
            let _ = pidfd_send_signal(&process, Signal::CONT);
        }
    }
}

/// A running monitor.
#[derive(Debug)]
pub struct Monitor {
    process: OwnedFd,
    init: OwnedFd,
    /// With their inode numbers: another agent's container may soon have cgroups of the same names.
    cgroups: BTreeSet<(PathBuf, u64)>,
}

impl Monitor {
    /// The monitor of the container whose init is process `init`.
    ///
    /// # Errors
    /// The system's, when the init or its parent is gone.
    pub fn of_init(init: u32) -> io::Result<Self> {
        let parent = parent_of(init)?;
        let (process, init_process) = (pidfd(parent)?, pidfd(init)?);
        let mut cgroups = BTreeSet::new();
        for pid in [init, parent] {
            let own = Cgroups::of_process(pid).map_err(io::Error::other)?;
            cgroups.extend(
                own.directories()
                    .into_iter()
                    .filter(|path| {
                        path.file_name()
                            .and_then(|name| name.to_str())
                            .is_some_and(|name| OWN_CGROUPS.iter().any(|own| name.starts_with(own)))
                    })
                    .filter_map(|path| {
                        let inode = fs::metadata(&path).ok()?.ino();
                        Some((path, inode))
                    }),
            );
        }
        Ok(Self {
            process,
            init: init_process,
            cgroups,
        })
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
    pub fn kill(&self) {
        self.resume();
        // It is the init's parent, and soon reaps it: a signal then finds nobody. Else the init
        // would be left to the system's.
        wait::until(REAP_LIMIT, || {
            pidfd_send_signal(&self.init, Signal::CONT).is_err()
        });
        // An error means that it has ended already.
        let _ = pidfd_send_signal(&self.process, Signal::KILL);
    }

    /// Waits for the monitor's end, ends it by force after `limit`, and removes the cgroups that it
    /// left.
    ///
    /// # Errors
    /// The first cgroup that could not be removed.
    pub fn finish(&self, limit: Duration) -> Result<(), (PathBuf, io::Error)> {
        if !wait::ended(&self.process, limit) {
            self.kill();
            wait::ended(&self.process, limit);
        }
        // Until it is reaped its cgroups stay busy. The monitor of a container that an earlier
        // agent made is not our child; the system's init reaps it. An init whose monitor was killed
        // before it becomes our child, too.
        for process in [&self.process, &self.init] {
            let flags = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG;
            let _ = waitid(Id::PIDFd(process.as_fd()), flags);
        }
        let mut result = Ok(());
        for (path, inode) in &self.cgroups {
            if !fs::metadata(path).is_ok_and(|metadata| metadata.ino() == *inode) {
                continue;
            }
            if let Err(error) = remove_cgroup(path) {
                result = result.and(Err((path.clone(), error)));
            }
        }
        result
    }
}

/// Removes a cgroup, and those in it, whose last process has ended; the kernel may need a moment
/// more until the process has left it.
fn remove_cgroup(path: &Path) -> io::Result<()> {
    let mut result = Ok(());
    wait::until(BUSY_LIMIT, || {
        result = fs::remove_dir(path);
        match &result {
            Err(error) if error.kind() == io::ErrorKind::ResourceBusy => {
                for child in children(path) {
                    // What is in it is busy, too, and said so below.
                    let _ = fs::remove_dir(&child);
                }
                false
            }
            _ => true,
        }
    });
    match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => {
            let inside = fs::read_to_string(path.join("cgroup.procs")).unwrap_or_default();
            let inside = inside.split_whitespace().collect::<Vec<_>>().join(" ");
            Err(io::Error::other(format!(
                "{error}; processes in it: {inside:?}"
            )))
        }
        Ok(()) => Ok(()),
    }
}

/// The cgroups in a cgroup.
fn children(path: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(path).into_iter().flatten().flatten();
    entries
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
        .map(|entry| entry.path())
        .collect()
}

/// A descriptor of a process (pidfd_open(2)).
///
/// # Errors
/// The system's.
pub(super) fn pidfd(pid: u32) -> io::Result<OwnedFd> {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
    let pid = pid.ok_or(io::ErrorKind::NotFound)?;
    Ok(pidfd_open(pid, PidfdFlags::empty())?)
}

/// The parent of a process (proc_pid_status(5)).
fn parent_of(pid: u32) -> io::Result<u32> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let parent = status
        .lines()
        .find_map(|line| line.strip_prefix("PPid:")?.trim().parse().ok());
    parent
        .filter(|&parent| parent > 1)
        .ok_or_else(|| io::ErrorKind::NotFound.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cgroups_of_a_container_are_told_from_those_of_others() {
        for own in ["lxc.monitor.SC-1", "lxc.payload.SC-1", "lxc.monitor.SC-1-3"] {
            assert!(
                is_cgroup_of("SC-1", &Path::new("/sys/fs/cgroup").join(own)),
                "{own}"
            );
        }
        for other in [
            "lxc.monitor.SC-10",
            "lxc.monitor.SC-1.77",
            "lxc.monitor.SC-1-",
            "lxc.monitor.SC-1-x",
            "lxc.pivot",
            "SC-1",
        ] {
            assert!(!is_cgroup_of("SC-1", Path::new(other)), "{other}");
        }
    }
}
