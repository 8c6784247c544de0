//! The share of the processors' time that a cgroup may use at most.

use std::path::PathBuf;

use super::{CgroupError, Cgroups, Version, read, write};

/// The quota of one cgroup (kernel documentation, scheduler/sched-bwc and cgroup-v2).
#[derive(Debug, Clone)]
pub struct CpuQuota {
    directory: PathBuf,
    version: Version,
}

impl CpuQuota {
    /// That of the cgroup which a process is in; `None` without such a controller.
    #[must_use]
    pub fn of(cgroups: &Cgroups) -> Option<Self> {
        Some(Self {
            directory: cgroups.directory("cpu").ok()?,
            version: cgroups.version("cpu")?,
        })
    }

    /// Lets the cgroup have as much as there is.
    ///
    /// # Errors
    /// [`CgroupError::Write`].
    pub fn lift(&self) -> Result<(), CgroupError> {
        let (file, unlimited) = match self.version {
            Version::V1 => ("cpu.cfs_quota_us", "-1"),
            Version::V2 => ("cpu.max", "max"),
        };
        let path = self.directory.join(file);
        match read(&path) {
            Ok(now) if !now.starts_with(unlimited) => write(&path, unlimited),
            // Without a quota, or in a kernel that has none.
            _ => Ok(()),
        }
    }

    /// How often the cgroup, or one that it is in, had used up its quota before its time; 0 if that
    /// is not known.
    #[must_use]
    pub fn times_throttled(&self) -> u64 {
        let levels = self.directory.ancestors();
        levels
            .map_while(|level| read(&level.join("cpu.stat")).ok())
            .filter_map(|text| {
                text.lines()
                    .find_map(|line| line.strip_prefix("nr_throttled ")?.parse::<u64>().ok())
            })
            .sum()
    }
}

/// Whether the cgroup's processes share what it gets of the processors by its own weight, instead
/// of each of them sharing with all of the host.
#[must_use]
pub fn has_weight_of_its_own(cgroups: &Cgroups) -> bool {
    let files = ["cpu.weight", "cpu.shares"];
    let directory = cgroups.directory("cpu");
    directory.is_ok_and(|it| files.iter().any(|file| it.join(file).exists()))
}
