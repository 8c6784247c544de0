//! Freezing all processes of a cgroup, on either version of the kernel's interface.

use std::{
    fs::File,
    io::{self, Read as _, Seek as _},
    os::fd::AsFd as _,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use nix::poll::PollFlags;

use super::{CgroupError, Cgroups, Version, read, write};
use crate::host::wait;

/// The freezer of one cgroup.
#[derive(Debug, Clone)]
pub enum Freezer {
    /// `freezer.state` (kernel documentation, cgroup-v1/freezer-subsystem).
    V1(PathBuf),
    /// The directory of `cgroup.freeze` and `cgroup.events` (kernel documentation, cgroup-v2).
    V2(PathBuf),
}

impl Freezer {
    /// That of the cgroup which a process is in.
    ///
    /// # Errors
    /// [`CgroupError::NoHierarchy`].
    pub fn of(cgroups: &Cgroups) -> Result<Self, CgroupError> {
        let directory = cgroups.directory("freezer")?;
        Ok(match cgroups.version("freezer") {
            Some(Version::V1) => Self::V1(directory.join("freezer.state")),
            _ => Self::V2(directory),
        })
    }

    /// Freezes every process; whether all were frozen within `limit`. They may be half frozen if
    /// not.
    ///
    /// # Errors
    /// [`CgroupError`].
    pub fn freeze(&self, limit: Duration) -> Result<bool, CgroupError> {
        match self {
            // Written again each time: a process that was just forked is frozen by that.
            Self::V1(state) => set_v1(state, "FROZEN", limit),
            Self::V2(directory) => set_v2(directory, true, limit),
        }
    }

    /// Thaws every process; whether all were thawed within `limit`. No error if none is frozen.
    ///
    /// # Errors
    /// [`CgroupError`].
    pub fn thaw(&self, limit: Duration) -> Result<bool, CgroupError> {
        match self {
            Self::V1(state) => set_v1(state, "THAWED", limit),
            Self::V2(directory) => set_v2(directory, false, limit),
        }
    }

    /// Whether the processes are to be frozen, by whomever.
    #[must_use]
    pub fn is_frozen(&self) -> bool {
        match self {
            Self::V1(state) => read(state).is_ok_and(|now| now != "THAWED"),
            Self::V2(directory) => {
                read(&directory.join("cgroup.freeze")).is_ok_and(|now| now == "1")
            }
        }
    }
}

fn set_v1(state: &Path, wanted: &str, limit: Duration) -> Result<bool, CgroupError> {
    // The kernel says nothing when all are frozen, and finds it out when it is asked.
    let mut result = Ok(());
    let done = wait::until(limit, || {
        let now = write(state, wanted).and_then(|()| read(state));
        match now {
            Ok(now) => now == wanted,
            Err(error) => {
                result = Err(error);
                true
            }
        }
    });
    result.map(|()| done)
}

fn set_v2(directory: &Path, frozen: bool, limit: Duration) -> Result<bool, CgroupError> {
    let path = directory.join("cgroup.events");
    let failed = |source| CgroupError::Read {
        path: path.clone(),
        source,
    };
    // Opened before, so that no change is missed.
    let mut events = File::open(&path).map_err(failed)?;
    write(
        &directory.join("cgroup.freeze"),
        if frozen { "1" } else { "0" },
    )?;
    let deadline = Instant::now() + limit;
    loop {
        if is_frozen_now(&mut events).map_err(failed)? == frozen {
            return Ok(true);
        }
        let left = deadline.saturating_duration_since(Instant::now());
        if !wait::ready(events.as_fd(), PollFlags::POLLPRI, left).map_err(failed)? {
            return Ok(false);
        }
    }
}

/// Reading the file also makes poll(2) wait for the next change.
fn is_frozen_now(events: &mut File) -> io::Result<bool> {
    let mut text = String::new();
    events.rewind()?;
    events.read_to_string(&mut text)?;
    Ok(text.lines().any(|line| line == "frozen 1"))
}
