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
    let path = PathBuf::from(format!("/proc/{init}/oom_score_adj"));
    write(&path, &adjust.to_string())
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
