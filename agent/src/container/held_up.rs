//! What keeps a container from getting anywhere, so that it is waited for.

use std::{fs, path::PathBuf};

use crate::host::{
    cgroup::{CpuQuota, Freezer},
    process,
};

/// A container that is waited for.
pub(super) struct HeldUp {
    init: u32,
    freezer: Freezer,
    cpu_quota: Option<CpuQuota>,
    /// How often it was without processor time, when that was looked at last.
    throttled: u64,
}

impl HeldUp {
    /// That of the container with this `init`.
    pub(super) fn of(init: u32, freezer: Freezer, cpu_quota: Option<CpuQuota>) -> Self {
        let mut held_up = Self {
            init,
            freezer,
            cpu_quota,
            throttled: 0,
        };
        held_up.throttled = held_up.times_throttled();
        held_up
    }

    /// Whether since the last time its share of the processors, or that of all containers, was used
    /// up; or whether now its processes are frozen, or its init, or what that is about to start,
    /// waits for a processor or for the kernel.
    pub(super) fn is_so(&mut self) -> bool {
        let now = self.times_throttled();
        let before = std::mem::replace(&mut self.throttled, now);
        now != before || self.freezer.is_frozen() || self.is_at_work()
    }

    fn times_throttled(&self) -> u64 {
        let quota = self.cpu_quota.as_ref();
        quota.map_or(0, CpuQuota::times_throttled)
    }

    /// An app that has the init's program wait in the same way delays nobody but its own launcher.
    fn is_at_work(&self) -> bool {
        let Ok(program) = program(self.init) else {
            return false;
        };
        let starting =
            children(self.init).filter(|it| self::program(*it).is_ok_and(|it| it == program));
        std::iter::once(self.init)
            .chain(starting)
            .any(|it| process::state(it).is_some_and(|state| "RD".contains(state)))
    }
}

/// The program that a process executes.
fn program(process: u32) -> std::io::Result<PathBuf> {
    fs::read_link(format!("/proc/{process}/exe"))
}

/// The children of a process (proc_pid_task_tid_children(5)); none where the kernel does not tell.
fn children(process: u32) -> impl Iterator<Item = u32> {
    let text = fs::read_to_string(format!("/proc/{process}/task/{process}/children"));
    let children: Vec<_> = text
        .unwrap_or_default()
        .split_whitespace()
        .filter_map(|child| child.parse().ok())
        .collect();
    children.into_iter()
}
