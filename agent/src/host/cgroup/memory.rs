//! What is done for the host's memory: a bound for each container, and whom the kernel kills first.

use std::{
    fs::{self, File},
    io,
    os::fd::AsRawFd as _,
    path::{Path, PathBuf},
};

use super::{CgroupError, Cgroups, Version, read, usage::UNLIMITED, write};
use crate::error_chain::Chain;

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

/// The file of a process that says how early it is killed (proc_pid_oom_score_adj(5)).
const SCORE: &str = "oom_score_adj";
/// How much later than apps their init is killed, in thousandths of the memory that it would have
/// to use more.
const SPARED: i32 = 500;

/// Has the kernel kill a process that the `init` of a container has started before others, and what
/// it starts itself. Where the agent has CAP_SYS_RESOURCE, an app cannot lower it again
/// (proc_pid_oom_score_adj(5)).
///
/// # Errors
/// The system's; `NotFound` when it has ended, and its number is another one's.
pub fn prefer_for_killing(process: u32, init: u32, adjust: u32) -> Result<(), CgroupError> {
    let path = PathBuf::from(format!("/proc/{process}"));
    let failed = |source: io::Error| CgroupError::Write {
        path: score_of(process),
        value: adjust.to_string(),
        source,
    };
    // What is opened in it is of this very process.
    let directory = File::open(&path).map_err(failed)?;
    let own = PathBuf::from(format!("/proc/self/fd/{}", directory.as_raw_fd()));
    let namespace = |process: &Path| fs::read_link(process.join("ns/pid"));
    let of_init = namespace(Path::new(&format!("/proc/{init}"))).map_err(failed)?;
    if namespace(&own).map_err(failed)? != of_init {
        return Err(failed(io::ErrorKind::NotFound.into()));
    }
    write(&own.join(SCORE), &adjust.to_string())
}

/// Has the kernel kill the `init` of a container only when no app is left in it that it could kill
/// instead: the container would end with it. An agent that may not do that leaves it as it is.
pub fn spare(init: u32, adjust: u32) {
    let spared = i32::try_from(adjust)
        .unwrap_or(i32::MAX)
        .saturating_sub(SPARED);
    if let Err(error) = write(&score_of(init), &spared.to_string()) {
        log::debug!("{}", Chain(&error));
    }
}

/// Has the kernel kill this process, and those that it starts, no later than `init` ([`spare`]).
///
/// # Errors
/// [`CgroupError`].
pub fn share_preference_of(init: u32) -> Result<(), CgroupError> {
    let adjust = read(&score_of(init))?;
    write(&score_of(std::process::id()), &adjust)
}

fn score_of(process: u32) -> PathBuf {
    PathBuf::from(format!("/proc/{process}/{SCORE}"))
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
