//! Ending the processes of cgroups, and removing cgroups.

use std::{
    fs, io,
    path::{Path, PathBuf},
    process,
    time::Duration,
};

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use super::write;
use crate::host::wait;

/// How long a cgroup may stay busy after its last process has ended.
const BUSY_LIMIT: Duration = Duration::from_secs(2);

/// Ends every process of a cgroup and of those in it, also frozen ones; whether all have ended
/// within `limit`. Its `directories` are those in all hierarchies; one that is gone has none. What
/// is left alone: this process and its children, which liblxc puts into a container's cgroup for a
/// moment.
pub fn end_all(directories: &[PathBuf], limit: Duration) -> bool {
    wait::until(limit, || {
        let cgroups: Vec<_> = directories.iter().flat_map(|it| tree(it)).collect();
        for cgroup in &cgroups {
            // A failure shows by what is left. What is frozen under v2 ends all the same.
            let _ = write(&cgroup.join("freezer.state"), "THAWED");
        }
        let others: Vec<_> = cgroups
            .iter()
            .flat_map(|cgroup| others_in(cgroup))
            .collect();
        for (cgroup, pid) in &others {
            end(cgroup, *pid);
        }
        others.is_empty()
    })
}

/// The cgroups of a tree, those in others first.
fn tree(directory: &Path) -> Vec<PathBuf> {
    let mut all = Vec::new();
    for child in children(directory) {
        all.extend(tree(&child));
    }
    all.push(directory.to_owned());
    all
}

/// The cgroups in a cgroup.
pub fn children(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    entries
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
        .map(|entry| entry.path())
        .collect()
}

fn pids_in(cgroup: &Path) -> Vec<u32> {
    let text = fs::read_to_string(cgroup.join("cgroup.procs")).unwrap_or_default();
    text.lines().filter_map(|line| line.parse().ok()).collect()
}

/// The processes of a cgroup and of those in it; those of another PID namespace have no number.
#[must_use]
pub fn pids(cgroup: &Path) -> Vec<u32> {
    let all = tree(cgroup).into_iter().flat_map(|it| pids_in(&it));
    all.filter(|pid| *pid != 0).collect()
}

/// How many processes are in a cgroup, without those in others in it.
#[must_use]
pub fn count(cgroup: &Path) -> usize {
    pids_in(cgroup).len()
}

fn others_in(cgroup: &Path) -> Vec<(PathBuf, u32)> {
    let own = process::id();
    pids_in(cgroup)
        .into_iter()
        // 0 stands for a process of another PID namespace, which no signal reaches.
        .filter(|&pid| pid != 0 && pid != own && parent_of(pid) != Some(own))
        .map(|pid| (cgroup.to_owned(), pid))
        .collect()
}

/// Sends SIGKILL to a process, if it still is the one in the cgroup.
fn end(cgroup: &Path, pid: u32) {
    let Ok(process) = pidfd(pid) else {
        return;
    };
    if pids_in(cgroup).contains(&pid) {
        // An error means that it has ended.
        let _ = pidfd_send_signal(&process, Signal::KILL);
    }
}

/// Removes a cgroup, and those in it, whose last process has ended; the kernel may need a moment
/// more until the process has left it.
///
/// # Errors
/// The system's, with the processes that are in it.
pub fn remove(directory: &Path) -> io::Result<()> {
    let mut result = Ok(());
    wait::until(BUSY_LIMIT, || {
        result = tree(directory)
            .iter()
            .try_for_each(|cgroup| match fs::remove_dir(cgroup) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
                result => result,
            });
        !matches!(&result, Err(error) if error.kind() == io::ErrorKind::ResourceBusy)
    });
    result.map_err(|error| {
        let inside: Vec<_> = tree(directory).iter().flat_map(|it| pids_in(it)).collect();
        io::Error::new(
            error.kind(),
            format!("{error}; processes in it: {inside:?}"),
        )
    })
}

/// A descriptor of a process (pidfd_open(2)).
///
/// # Errors
/// The system's.
pub fn pidfd(pid: u32) -> io::Result<std::os::fd::OwnedFd> {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
    let pid = pid.ok_or(io::ErrorKind::NotFound)?;
    Ok(pidfd_open(pid, PidfdFlags::empty())?)
}

/// The parent of a process (proc_pid_status(5)).
pub fn parent_of(pid: u32) -> Option<u32> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    status
        .lines()
        .find_map(|line| line.strip_prefix("PPid:")?.trim().parse().ok())
}
