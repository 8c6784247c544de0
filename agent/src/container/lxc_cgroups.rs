//! The cgroups of a container: liblxc makes one for its monitor and one for its processes; the
//! agent makes one for those that help it from outside.
//!
//! They are found by their names below the cgroups of all containers ([`Parents`]), where only root
//! can make any. What runs in a container that an earlier agent left is known by them: liblxc would
//! ask a socket whose name anybody on the host can take.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use super::{cgroup_parents::Parents, error::ContainerError};
use crate::host::cgroup::members;

/// The keys of LXC's configuration that give them their names (lxc.container.conf(5)).
const KEYS: [&str; 2] = ["lxc.cgroup.dir.container", "lxc.cgroup.dir.monitor"];

/// How the cgroup of a container's helper processes is called, after its own.
const HELPERS: &str = ".helpers";

/// The names of a container's cgroups: first that of its processes, then that of its monitor, then
/// that of its helpers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct LxcCgroups([String; 3]);

/// The name of the cgroup of the helper processes of container `name`, beside its own.
pub(super) fn of_helpers(name: &str) -> String {
    format!("{name}{HELPERS}")
}

impl LxcCgroups {
    /// Those of container `name` below `parents`.
    pub(super) fn of(parents: &Parents, name: &str) -> Self {
        let (containers, monitors) = (parents.of_containers(), parents.of_monitors());
        let helpers = of_helpers(name);
        Self([
            format!("{containers}/{name}"),
            format!("{monitors}/{name}"),
            format!("{containers}/{helpers}"),
        ])
    }

    /// Those of the container `name` whose LXC configuration is in `directory`, as an agent saved
    /// it.
    pub(super) fn of_saved(directory: &Path, parents: &Parents, name: &str) -> Self {
        let config = fs::read_to_string(directory.join("config")).unwrap_or_default();
        let mut names = Self::of(parents, name);
        for line in config.lines() {
            let Some((key, value)) = line.split_once('=') else {
                continue;
            };
            if let Some(index) = KEYS.iter().position(|it| *it == key.trim()) {
                names.0[index] = value.trim().to_owned();
            }
        }
        names
    }

    /// What LXC has to be told, as keys and values.
    pub(super) fn items(&self) -> impl Iterator<Item = (&'static str, String)> {
        KEYS.into_iter().zip(self.0.clone())
    }

    /// Whether `path`, in any hierarchy, is one of them.
    pub(super) fn include(&self, path: &Path) -> bool {
        self.0.iter().map(Path::new).any(|name| {
            let above = path.ancestors().nth(name.components().count());
            above.is_some_and(|above| is_called(path, &above.join(name)))
        })
    }

    /// Whether one of them is there.
    pub(super) fn exist(&self, parents: &Parents) -> bool {
        let paths = parents
            .hierarchies()
            .into_iter()
            .flat_map(|it| self.0.iter().map(move |name| it.join(name)));
        paths.into_iter().any(|path| path.exists())
    }

    /// Ends every process in them, the container's own first, and removes them.
    ///
    /// # Errors
    /// What still runs or could not be removed; the others are removed all the same.
    pub(super) fn end(
        &self,
        parents: &Parents,
        limit: Duration,
    ) -> Result<(), Vec<ContainerError>> {
        let mut errors = Vec::new();
        for name in &self.0 {
            let directories = directories(parents, name);
            if !members::end_all(&directories, limit) {
                log::warn!("processes in cgroups {name} do not end");
            }
            for path in directories {
                if let Err(source) = members::remove(&path) {
                    errors.push(ContainerError::Remove { path, source });
                }
            }
        }
        if errors.is_empty() {
            Ok(())
        } else {
            Err(errors)
        }
    }
}

/// The cgroups that liblxc makes when it is to make `name`, in all hierarchies.
fn directories(parents: &Parents, name: &str) -> Vec<PathBuf> {
    let hierarchies = parents.hierarchies().into_iter();
    hierarchies
        .map(|hierarchy| hierarchy.join(name))
        .flat_map(|path| {
            let siblings = path.parent().map(members::children).unwrap_or_default();
            siblings.into_iter().filter(move |it| is_called(it, &path))
        })
        .collect()
}

/// Whether liblxc makes `path` when it is to make `wanted`: it adds a number to a name that is
/// taken.
fn is_called(path: &Path, wanted: &Path) -> bool {
    let rest = path
        .to_str()
        .zip(wanted.to_str())
        .and_then(|(path, wanted)| path.strip_prefix(wanted));
    rest.is_some_and(|rest| match rest.strip_prefix('-') {
        Some(number) => !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()),
        None => rest.is_empty(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cgroups_of_a_container_are_told_from_those_of_others() {
        let wanted = Path::new("/sys/fs/cgroup/lxc/SC-1");
        for own in ["SC-1", "SC-1-3"] {
            assert!(is_called(&wanted.with_file_name(own), wanted), "{own}");
        }
        for other in ["SC-10", "SC-1.77", "SC-1-", "SC-1-x", "pivot"] {
            assert!(!is_called(&wanted.with_file_name(other), wanted), "{other}");
        }
    }

    #[test]
    fn names_are_those_of_the_saved_configuration() {
        let directory = tempfile::tempdir().unwrap();
        let parents = Parents::called("lxc");
        let read = || LxcCgroups::of_saved(directory.path(), &parents, "SC-1");
        assert_eq!(
            read(),
            LxcCgroups(["lxc/SC-1", "lxc.monitor/SC-1", "lxc/SC-1.helpers"].map(str::to_owned))
        );
        let config = "lxc.uts.name = x\nlxc.cgroup.dir.monitor = lxc.monitor.SC-1.9\n\
                      lxc.cgroup.dir.container = lxc/SC-1.9\n";
        fs::write(directory.path().join("config"), config).unwrap();
        assert_eq!(
            read(),
            LxcCgroups(["lxc/SC-1.9", "lxc.monitor.SC-1.9", "lxc/SC-1.helpers"].map(str::to_owned))
        );
    }

    #[test]
    fn a_cgroup_is_known_in_each_hierarchy() {
        let own = LxcCgroups::of(&Parents::called("lxc"), "SC-1");
        for path in [
            "cpu/lxc/SC-1",
            "memory/lxc.monitor/SC-1",
            "unified/lxc/SC-1-2",
        ] {
            assert!(
                own.include(&Path::new("/sys/fs/cgroup").join(path)),
                "{path}"
            );
        }
        for path in [
            "cpu/SC-1",
            "cpu/lxc/SC-10",
            "cpu/lxc",
            "lxc.monitor/SC-2",
            "",
        ] {
            assert!(
                !own.include(&Path::new("/sys/fs/cgroup").join(path)),
                "{path}"
            );
        }
    }
}
