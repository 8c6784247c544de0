//! The cgroups below which those of all containers are.
//!
//! Whatever runs in containers is in one of them, so that it can be bounded as a whole
//! ([`Totals`]); LXC's monitors are in another. Both are liblxc's to fill, and ours to make.

use std::{
    collections::BTreeSet,
    fs, io,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

use crate::host::cgroup::{self, CgroupError, Cgroups, Totals, totals};

/// The system's first process: liblxc's paths begin where it is, or above its scope.
const SYSTEM_INIT: u32 = 1;
/// The unit whose cgroup systemd leaves to the agent (systemd.resource-control(5), `Delegate=`).
const DELEGATED: &str = "softwarecontainer.slice/softwarecontainer-containers.service";
/// Where LXC had containers in the time of SoftwareContainer 0.19, so that what reads
/// `/sys/fs/cgroup/cpu/lxc/SC-0` goes on to work.
const NAME: &str = "lxc";

/// The cgroups below which those of all containers are.
#[derive(Debug, Clone)]
pub struct Parents {
    /// Where liblxc's paths begin.
    top: Cgroups,
    /// From there, of containers.
    path: String,
}

impl Parents {
    /// Those of an agent whose containers LXC keeps in the directory `own`, `None` for LXC's own
    /// place: of agents with places of their own there may be several, whose containers have the
    /// same names.
    ///
    /// # Errors
    /// [`CgroupError::Read`].
    pub fn find(own: Option<&Path>) -> Result<Self, CgroupError> {
        let top = Cgroups::of_process(SYSTEM_INIT)?.outside_of_init_scope();
        let name = match own {
            Some(path) => {
                let read = |source| CgroupError::Read {
                    path: path.to_owned(),
                    source,
                };
                let directory = fs::metadata(path).map_err(read)?;
                format!("{NAME}-{:x}-{:x}", directory.dev(), directory.ino())
            }
            None => NAME.to_owned(),
        };
        let is_delegated = |top: &PathBuf| top.join(DELEGATED).is_dir();
        let path = if top.directories().iter().any(is_delegated) {
            format!("{DELEGATED}/{name}")
        } else {
            name
        };
        Ok(Self { top, path })
    }

    /// Makes them, and bounds what is in that of containers.
    ///
    /// # Errors
    /// [`CgroupError`].
    pub fn make(&self, totals: &Totals) -> Result<(), CgroupError> {
        for hierarchy in self.hierarchies() {
            if let Some(delegated) = self.of_pivot() {
                cgroup::vacate(&hierarchy.join(delegated))?;
            }
            cgroup::make(&hierarchy, Path::new(&self.of_containers()))?;
            cgroup::make(&hierarchy, Path::new(&self.of_monitors()))?;
        }
        let containers = self.top.below(Path::new(&self.path));
        for key in totals::set(&containers, totals)? {
            log::warn!("{key} has no effect: this kernel has nothing for it");
        }
        Ok(())
    }

    /// What LXC has to be told for each container, so that `totals` hold.
    pub(super) fn lxc_item(&self, totals: &Totals) -> Option<(&'static str, String)> {
        totals::lxc_item(&self.top, totals)
    }

    /// Whether they are there. Whoever finds them empty may have removed them.
    pub(super) fn exist(&self) -> bool {
        let paths = [self.of_containers(), self.of_monitors()];
        let hierarchies = self.hierarchies();
        hierarchies
            .iter()
            .all(|it| paths.iter().all(|path| it.join(path).is_dir()))
    }

    /// Removes them if nothing is in them.
    pub fn remove(&self) {
        for hierarchy in self.hierarchies() {
            for path in [self.of_containers(), self.of_monitors()] {
                match fs::remove_dir(hierarchy.join(&path)) {
                    Err(error) if error.kind() != io::ErrorKind::NotFound => {
                        log::debug!("cgroup {path} stays: {error}");
                    }
                    _ => {}
                }
            }
        }
    }

    /// Where liblxc's paths begin, one directory in each hierarchy.
    pub(super) fn hierarchies(&self) -> BTreeSet<PathBuf> {
        self.top.directories()
    }

    /// The path of the cgroup that holds those of containers.
    pub(super) fn of_containers(&self) -> String {
        self.path.clone()
    }

    /// The directories of the cgroup that holds those of containers, in the hierarchies that bound
    /// what is in it, and in the one by which services of the host tell processes apart.
    pub(super) fn bounded(&self) -> BTreeSet<PathBuf> {
        let containers = self.top.below(Path::new(&self.path));
        let bounded = totals::CONTROLLERS.iter();
        bounded
            .filter_map(|controller| containers.directory(controller).ok())
            .chain(containers.unified())
            .collect()
    }

    /// The path of the cgroup that holds those of LXC's monitors.
    pub(super) fn of_monitors(&self) -> String {
        format!("{}.monitor", self.path)
    }

    /// The path of the cgroup in which liblxc is to make the one that monitors go to when they
    /// remove their containers', if it is not at the top.
    pub(super) fn of_pivot(&self) -> Option<&'static str> {
        self.path.starts_with(DELEGATED).then_some(DELEGATED)
    }

    #[cfg(test)]
    pub(super) fn called(path: &str) -> Self {
        Self {
            top: Cgroups::of_process(SYSTEM_INIT).unwrap(),
            path: path.to_owned(),
        }
    }
}
