//! Finds the cgroup of a process, in the v1, hybrid and unified layouts, and reads and writes its
//! files.

mod cpu_list;
mod cpu_quota;
mod freezer;
mod helpers;
mod layout;
mod make;
pub mod members;
pub mod memory;
mod own;
mod reclaim;
pub mod totals;
pub mod usage;

use std::{
    collections::BTreeSet,
    fs, io,
    path::{Path, PathBuf},
    sync::OnceLock,
};

use thiserror::Error;

pub use cpu_list::{CpuList, NoCpuList};
pub use cpu_quota::{CpuQuota, has_weight_of_its_own};
pub use freezer::Freezer;
pub use helpers::HelperCgroups;
pub use layout::Version;
use layout::{Membership, Mounts};
pub use make::{make, vacate};
pub use own::{InMonitors, OwnCgroups};
pub use reclaim::reclaim;
pub use totals::Totals;

use super::mountinfo;

/// A cgroup that cannot be found, or a file of it that cannot be read or written.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum CgroupError {
    /// A file of `/proc` that tells where cgroups are, or a file of a cgroup.
    #[error("cannot read {}", .path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The kernel did not take a value.
    #[error("cannot write {value:?} to {}{}", .path.display(), used_already(source))]
    Write {
        /// The file.
        path: PathBuf,
        /// The value.
        value: String,
        /// Why; EBUSY for a limit below what is used already.
        source: io::Error,
    },
    /// A cgroup cannot be made.
    #[error("cannot make cgroup {}", .path.display())]
    Make {
        /// Its directory.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Neither a v1 hierarchy of that controller nor the unified hierarchy is mounted.
    #[error("this host has no cgroup controller {0}")]
    NoHierarchy(String),
    /// A limit would be below what is used already.
    #[error("cannot set {} to {limit}: the container already uses {used} bytes", .path.display())]
    BelowUse {
        /// The file.
        path: PathBuf,
        /// The limit, in bytes.
        limit: u64,
        /// What is used, in bytes, after everything that can be given up was.
        used: u64,
    },
}

fn used_already(error: &io::Error) -> &'static str {
    match error.raw_os_error() {
        Some(libc::EBUSY) => " (the container already uses more)",
        _ => "",
    }
}

/// Where a process is in each hierarchy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cgroups {
    mounts: Mounts,
    membership: Membership,
}

impl Cgroups {
    /// The cgroups of process `pid`, see cgroups(7).
    ///
    /// # Errors
    /// [`CgroupError::Read`].
    pub fn of_process(pid: u32) -> Result<Self, CgroupError> {
        Ok(Self {
            mounts: mounts()?.clone(),
            membership: Membership::parse(&read(Path::new(&format!("/proc/{pid}/cgroup")))?),
        })
    }

    /// Those at the top of a tree in which systemd has put this process: its own is `init.scope`
    /// (systemd.special(7)).
    #[must_use]
    pub fn outside_of_init_scope(&self) -> Self {
        self.with_paths(|path| match path.file_name() {
            Some(last) if last == "init.scope" => path.parent().unwrap_or(path).to_owned(),
            _ => path.to_owned(),
        })
    }

    /// Those called `path`, below these.
    #[must_use]
    pub fn below(&self, path: &Path) -> Self {
        self.with_paths(|above| above.join(path))
    }

    fn with_paths(&self, change: impl Fn(&Path) -> PathBuf) -> Self {
        Self {
            mounts: self.mounts.clone(),
            membership: self.membership.with_paths(change),
        }
    }

    /// Which kind of hierarchy `controller` belongs to on this host: v1 if it is mounted as such.
    #[must_use]
    pub fn version(&self, controller: &str) -> Option<Version> {
        self.mounts.version(controller)
    }

    /// The process's directories in all hierarchies.
    #[must_use]
    pub fn directories(&self) -> BTreeSet<PathBuf> {
        self.mounts.directories(&self.membership)
    }

    /// The process's directory in the unified hierarchy, also where other hierarchies have all
    /// controllers.
    #[must_use]
    pub fn unified(&self) -> Option<PathBuf> {
        self.mounts.unified(&self.membership)
    }

    /// The directory that has the files of `controller`.
    ///
    /// # Errors
    /// [`CgroupError::NoHierarchy`].
    pub fn directory(&self, controller: &str) -> Result<PathBuf, CgroupError> {
        self.mounts
            .directory(controller, &self.membership)
            .ok_or_else(|| CgroupError::NoHierarchy(controller.to_owned()))
    }
}

/// The mounted hierarchies. They are looked up once: the list of mounts is long where there are
/// many containers, and hosts mount their hierarchies before they start services.
fn mounts() -> Result<&'static Mounts, CgroupError> {
    static MOUNTS: OnceLock<Mounts> = OnceLock::new();
    if let Some(mounts) = MOUNTS.get() {
        return Ok(mounts);
    }
    let read = Mounts::parse(&read(Path::new(mountinfo::LIST))?);
    Ok(MOUNTS.get_or_init(|| read))
}

/// Reads a file of a cgroup, without the line end.
///
/// # Errors
/// [`CgroupError::Read`].
pub fn read(path: &Path) -> Result<String, CgroupError> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(text.trim_end().to_owned()),
        Err(source) => Err(CgroupError::Read {
            path: path.to_owned(),
            source,
        }),
    }
}

/// Writes a file of a cgroup, in one write(2); it must exist.
///
/// # Errors
/// [`CgroupError::Write`].
pub fn write(path: &Path, value: &str) -> Result<(), CgroupError> {
    let written = fs::OpenOptions::new()
        .write(true)
        .open(path)
        .and_then(|mut file| io::Write::write_all(&mut file, value.as_bytes()));
    written.map_err(|source| CgroupError::Write {
        path: path.to_owned(),
        value: value.to_owned(),
        source,
    })
}

/// Sets `memory.max`, the limit of cgroup v2, in `directory`. The kernel itself would take any
/// limit and kill processes until it holds, so it is asked first, through `memory.high`, to free
/// what it can.
///
/// # Errors
/// [`CgroupError::BelowUse`] if that is not enough; the limit is then as before.
pub fn limit_memory(directory: &Path, limit: u64) -> Result<(), CgroupError> {
    let current = directory.join("memory.current");
    if used(&current)? > limit {
        let high = directory.join("memory.high");
        let before = read(&high)?;
        write(&high, &limit.to_string())?;
        let left = used(&current);
        write(&high, &before)?;
        let left = left?;
        if left > limit {
            return Err(CgroupError::BelowUse {
                path: directory.join("memory.max"),
                limit,
                used: left,
            });
        }
    }
    write(&directory.join("memory.max"), &limit.to_string())
}

fn used(path: &Path) -> Result<u64, CgroupError> {
    read(path)?.parse().map_err(|error| CgroupError::Read {
        path: path.to_owned(),
        source: io::Error::new(io::ErrorKind::InvalidData, error),
    })
}
