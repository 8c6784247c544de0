//! What is done for the host's memory: a bound for each container, and whom the kernel kills first.

use std::path::PathBuf;

use super::{CgroupError, Cgroups, Version, read, usage::UNLIMITED, write};

/// Bounds the memory of the processes in `cgroups` by `percent` of the machine's, unless somebody
/// else has bounded it. Without a memory controller nothing can be bounded, which the agent has
/// reported at its start.
///
/// # Errors
/// [`CgroupError`].
pub fn bound(cgroups: &Cgroups, percent: u32) -> Result<(), CgroupError> {
    let file = match cgroups.version("memory") {
        Some(Version::V1) => "memory.limit_in_bytes",
        Some(Version::V2) => "memory.max",
        None => return Ok(()),
    };
    let path = cgroups.directory("memory")?.join(file);
    if percent == 0 || !path.exists() {
        return Ok(());
    }
    let current = read(&path)?.parse();
    if current.is_ok_and(|limit: u64| limit < UNLIMITED) {
        return Ok(());
    }
    write(&path, &share(percent).to_string())
}

/// Has the kernel kill the processes of a container before others. Its `init` has none yet, and all
/// inherit from it. Where the agent has CAP_SYS_RESOURCE, an app cannot lower it again
/// (proc_pid_oom_score_adj(5)).
///
/// # Errors
/// [`CgroupError::Write`].
pub fn prefer_for_killing(init: u32, adjust: u32) -> Result<(), CgroupError> {
    write(&score_of(init), &adjust.to_string())
}

/// Has the kernel kill this process, and those that it starts, no later than those of `init`
/// ([`prefer_for_killing`]).
///
/// # Errors
/// [`CgroupError`].
pub fn share_preference_of(init: u32) -> Result<(), CgroupError> {
    let adjust = read(&score_of(init))?;
    write(&score_of(std::process::id()), &adjust)
}

fn score_of(process: u32) -> PathBuf {
    PathBuf::from(format!("/proc/{process}/oom_score_adj"))
}

/// Has the kernel, when it kills a process in `cgroups` for memory, kill all of them: half an app
/// is of no use to anybody (`memory.oom.group`, kernel documentation, cgroup-v2). Without a memory
/// controller of v2 they are killed one by one.
///
/// # Errors
/// [`CgroupError::Write`].
pub fn kill_as_one(cgroups: &Cgroups) -> Result<(), CgroupError> {
    if cgroups.version("memory") != Some(Version::V2) {
        return Ok(());
    }
    let path = cgroups.directory("memory")?.join("memory.oom.group");
    if !path.exists() {
        return Ok(());
    }
    write(&path, "1")
}

/// So many percent of the machine's memory, in bytes.
fn share(percent: u32) -> u64 {
    of_machine() / 100 * u64::from(percent)
}

/// The machine's memory, in bytes (sysinfo(2)).
#[must_use]
pub fn of_machine() -> u64 {
    let system = rustix::system::sysinfo();
    #[allow(clippy::useless_conversion)] // Its width depends on the machine.
    let total = u64::from(system.totalram).saturating_mul(u64::from(system.mem_unit));
    total
}
