//! Which hierarchies are mounted where, and where a process is in them; read from the texts of
//! proc(5).

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use crate::host::mountinfo::unescaped;

/// A kind of hierarchy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// One hierarchy for each controller, or several.
    V1,
    /// The unified hierarchy.
    V2,
}

/// A mounted hierarchy.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Mount {
    point: PathBuf,
    /// Which directory of the hierarchy is seen at `point`.
    root: PathBuf,
}

impl Mount {
    /// Where the directory `path` of the hierarchy is seen.
    fn locate(&self, path: &Path) -> Option<PathBuf> {
        let below = path.strip_prefix(&self.root).ok()?;
        Some(self.point.join(below))
    }
}

/// The mounted hierarchies.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Mounts {
    v1: BTreeMap<String, Mount>,
    v2: Option<Mount>,
}

impl Mounts {
    /// Reads `/proc/self/mountinfo`. Of several mounts of a hierarchy the first is taken.
    pub(super) fn parse(mountinfo: &str) -> Self {
        let mut mounts = Self::default();
        for line in mountinfo.lines() {
            let Some((left, right)) = line.split_once(" - ") else {
                continue;
            };
            let (mut left, mut right) = (left.split(' ').skip(3), right.split(' '));
            let (Some(root), Some(point)) = (left.next(), left.next()) else {
                continue;
            };
            let mount = Mount {
                point: unescaped(point.as_bytes()),
                root: unescaped(root.as_bytes()),
            };
            match (right.next(), right.nth(1)) {
                (Some("cgroup2"), _) => {
                    mounts.v2.get_or_insert(mount);
                }
                (Some("cgroup"), Some(options)) => {
                    for option in options.split(',') {
                        mounts
                            .v1
                            .entry(option.to_owned())
                            .or_insert_with(|| mount.clone());
                    }
                }
                _ => {}
            }
        }
        mounts
    }

    pub(super) fn version(&self, controller: &str) -> Option<Version> {
        if self.v1.contains_key(controller) {
            Some(Version::V1)
        } else {
            self.v2.as_ref().map(|_| Version::V2)
        }
    }

    /// The directories of a process in all hierarchies.
    pub(super) fn directories(&self, membership: &Membership) -> BTreeSet<PathBuf> {
        let v1 = self.v1.iter().filter_map(|(controller, mount)| {
            // The name of a hierarchy without controllers is `name=NAME` in both lists.
            mount.locate(membership.v1.get(controller)?)
        });
        v1.chain(self.unified(membership)).collect()
    }

    /// The directory of a process in the unified hierarchy.
    pub(super) fn unified(&self, membership: &Membership) -> Option<PathBuf> {
        self.v2.as_ref()?.locate(membership.v2.as_ref()?)
    }

    pub(super) fn directory(&self, controller: &str, membership: &Membership) -> Option<PathBuf> {
        match self.v1.get(controller) {
            Some(mount) => mount.locate(membership.v1.get(controller)?),
            None => self.unified(membership),
        }
    }
}

/// Where a process is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Membership {
    v1: BTreeMap<String, PathBuf>,
    v2: Option<PathBuf>,
}

impl Membership {
    /// Reads `/proc/PID/cgroup`: lines of `number:controllers:path`.
    pub(super) fn parse(cgroup: &str) -> Self {
        let mut membership = Self::default();
        for line in cgroup.lines() {
            let mut fields = line.splitn(3, ':').skip(1);
            let (Some(controllers), Some(path)) = (fields.next(), fields.next()) else {
                continue;
            };
            if controllers.is_empty() {
                membership.v2 = Some(path.into());
            }
            for controller in controllers.split(',').filter(|name| !name.is_empty()) {
                membership.v1.insert(controller.to_owned(), path.into());
            }
        }
        membership
    }

    /// The same with other paths.
    pub(super) fn with_paths(&self, change: impl Fn(&Path) -> PathBuf) -> Self {
        let v1 = self.v1.iter();
        Self {
            v1: v1
                .map(|(controller, path)| (controller.clone(), change(path)))
                .collect(),
            v2: self.v2.as_deref().map(&change),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HYBRID: &str = "\
24 1 0:22 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755
25 24 0:23 / /sys/fs/cgroup/memory rw,relatime shared:9 - cgroup cgroup rw,memory
26 24 0:24 / /sys/fs/cgroup/cpu,cpuacct rw,relatime - cgroup cgroup rw,cpu,cpuacct
27 24 0:25 / /sys/fs/cgroup/systemd rw,relatime - cgroup cgroup rw,name=systemd
28 24 0:26 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw,nsdelegate
";
    const MEMBER: &str = "\
4:memory:/lxc.payload.SC-0
3:cpu,cpuacct:/lxc.payload.SC-0
1:name=systemd:/user:odd
0::/lxc.payload.SC-0/init
";

    fn directory(mounts: &str, member: &str, controller: &str) -> Option<PathBuf> {
        Mounts::parse(mounts).directory(controller, &Membership::parse(member))
    }

    #[test]
    fn on_a_hybrid_host_a_controller_is_where_it_is_mounted() {
        let found = |controller| directory(HYBRID, MEMBER, controller).unwrap();
        assert_eq!(
            found("memory"),
            Path::new("/sys/fs/cgroup/memory/lxc.payload.SC-0")
        );
        assert_eq!(
            found("cpu"),
            Path::new("/sys/fs/cgroup/cpu,cpuacct/lxc.payload.SC-0")
        );
        assert_eq!(
            found("hugetlb"),
            Path::new("/sys/fs/cgroup/unified/lxc.payload.SC-0/init")
        );
        assert_eq!(
            found("name=systemd"),
            Path::new("/sys/fs/cgroup/systemd/user:odd")
        );
        let version = |controller| Mounts::parse(HYBRID).version(controller);
        assert_eq!(version("memory"), Some(Version::V1));
        assert_eq!(version("hugetlb"), Some(Version::V2));
    }

    #[test]
    fn on_a_unified_host_everything_is_in_one_place() {
        let mounts = "30 1 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n";
        let member = "0::/lxc.payload.SC-7\n";
        assert_eq!(
            directory(mounts, member, "memory").unwrap(),
            Path::new("/sys/fs/cgroup/lxc.payload.SC-7")
        );
    }

    #[test]
    fn a_hierarchy_seen_from_a_container_begins_at_its_root() {
        let mounts = "30 1 0:26 /outer/box /sys/fs/cgroup\\040here rw - cgroup2 cgroup2 rw\n";
        assert_eq!(
            directory(mounts, "0::/outer/box/inner\n", "memory").unwrap(),
            Path::new("/sys/fs/cgroup here/inner")
        );
        assert_eq!(directory(mounts, "0::/elsewhere\n", "memory"), None);
    }

    #[test]
    fn a_host_without_cgroups_has_none() {
        assert_eq!(
            directory("1 0 8:1 / / rw - ext4 /dev/sda rw\n", MEMBER, "memory"),
            None
        );
        assert_eq!(
            Mounts::parse("garbage\n - cgroup2\n").version("memory"),
            None
        );
    }
}
