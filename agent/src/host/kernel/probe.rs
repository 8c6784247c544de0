//! Where a kernel shows what it has.

use std::{
    fs,
    path::{Path, PathBuf},
};

use super::needs::Evidence;
use crate::host::sys;

/// What a kernel shows.
#[derive(Debug)]
pub(super) struct Kernel {
    /// `/`, or what stands for it.
    root: PathBuf,
    /// The types of file systems that it knows now.
    filesystems: String,
    /// The lists of modules that are built in and that are there to be loaded; `None` where there
    /// is no list of the former.
    modules: Option<String>,
    /// The controllers of cgroups; `None` if they cannot be found out.
    controllers: Option<Vec<String>>,
    /// Whether Landlock answers.
    landlock: bool,
    /// Whether programs can filter devices; `None` where cgroups are not unified, or it cannot be
    /// found out.
    device_filter: Option<bool>,
}

impl Kernel {
    pub(super) fn of_the_running_kernel() -> Self {
        let release = rustix::system::uname();
        let unified = Path::new("/sys/fs/cgroup");
        Self {
            landlock: sys::has_landlock(),
            device_filter: unified
                .join("cgroup.controllers")
                .exists()
                .then(|| sys::filters_devices(unified))
                .flatten(),
            ..Self::below(Path::new("/"), &release.release().to_string_lossy())
        }
    }

    /// What files below `root` tell of a kernel of that release.
    pub(super) fn below(root: &Path, release: &str) -> Self {
        let read = |path: &str| fs::read_to_string(root.join(path)).ok();
        let modules = format!("lib/modules/{release}");
        let unified = read("sys/fs/cgroup/cgroup.controllers");
        let v1 = || read("proc/cgroups").map(|text| enabled(&text));
        Self {
            root: root.to_owned(),
            filesystems: read("proc/filesystems").unwrap_or_default(),
            modules: read(&format!("{modules}/modules.builtin")).map(|built_in| {
                built_in + "\n" + &read(&format!("{modules}/modules.dep")).unwrap_or_default()
            }),
            controllers: unified
                .map(|text| text.split_whitespace().map(str::to_owned).collect())
                .or_else(v1),
            landlock: true,
            device_filter: None,
        }
    }

    /// Whether the kernel has what `evidence` stands for; `None` if it does not tell.
    pub(super) fn has(&self, evidence: &Evidence) -> Option<bool> {
        match evidence {
            Evidence::File(path) => Some(self.root.join(path).exists()),
            Evidence::FileSystem(name) => {
                let known = self
                    .filesystems
                    .lines()
                    .any(|line| line.split_whitespace().next_back() == Some(name));
                if known { Some(true) } else { self.module(name) }
            }
            Evidence::Module(names) => {
                let found: Vec<_> = names.iter().map(|name| self.module(name)).collect();
                if found.contains(&Some(true)) {
                    Some(true)
                } else if found.contains(&None) {
                    None
                } else {
                    Some(false)
                }
            }
            Evidence::Controller(name) => {
                Some(self.controllers.as_ref()?.iter().any(|one| one == name))
            }
            Evidence::Landlock => Some(self.landlock),
            Evidence::DeviceFilter => self.device_filter,
        }
    }

    fn module(&self, name: &str) -> Option<bool> {
        if self.root.join("sys/module").join(name).exists() {
            return Some(true);
        }
        // Whatever the module is compressed with: `kernel/drivers/net/veth.ko.xz: …`
        Some(self.modules.as_ref()?.contains(&format!("/{name}.ko")))
    }
}

/// The controllers in `/proc/cgroups` that are not switched off (cgroups(7)).
fn enabled(cgroups: &str) -> Vec<String> {
    let lines = cgroups.lines().filter(|line| !line.starts_with('#'));
    let words = lines.map(|line| line.split_whitespace().collect::<Vec<_>>());
    words
        .filter(|words| words.last() == Some(&"1"))
        .filter_map(|words| words.first().map(|&name| name.to_owned()))
        .collect()
}
