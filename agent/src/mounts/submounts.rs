//! What is mounted in directories of the host that a container has: a USB stick below `/run/media`,
//! for example, plugged in before or after.
//!
//! The mounts are cloned one by one, so that each has the restrictions of the directory that it is
//! in. The kernel's own propagation (mount_namespaces(7)) would bring later ones without: writable
//! in a directory that was given read-only, with owners that mean nothing in the container.

use std::{
    collections::BTreeMap,
    os::fd::{AsFd as _, OwnedFd},
    path::{Path, PathBuf},
    thread,
};

use rustix::fs::{Mode, OFlags};

use super::{
    bind::Mounts,
    error::BindError,
    followed::{Below, Tree},
    host_source::HostSource,
};
use crate::{
    error_chain::Chain,
    host::{
        container_path::{self, Attached},
        mount::{DetachedMount, MountId},
        mountinfo::{self, Mount},
    },
};

/// Kernel interfaces: what a container may see of these is in its own `/proc` and `/sys`.
const KERNEL_INTERFACES: [&str; 21] = [
    "autofs",
    "binfmt_misc",
    "bpf",
    "cgroup",
    "cgroup2",
    "configfs",
    "debugfs",
    "devpts",
    "devtmpfs",
    "efivarfs",
    "fusectl",
    "hugetlbfs",
    "mqueue",
    "nfsd",
    "nsfs",
    "proc",
    "pstore",
    "rpc_pipefs",
    "securityfs",
    "sysfs",
    "tracefs",
];

/// What is mounted in a directory on the host.
struct Wanted {
    on_host: MountId,
    source: HostSource,
    /// The container has its own, and is not shown this one.
    is_kernels: bool,
}

impl Mounts<'_> {
    /// Shows what is mounted in a directory that was just mounted, and follows it from now on.
    pub(super) fn follow_mounts_in(&self, source: &HostSource, top: &Attached, read_only: bool) {
        let mut tree = Tree {
            source: source.name().to_owned(),
            read_only,
            owner: source.owner(),
            top: top.clone(),
            below: BTreeMap::new(),
        };
        let listed = mountinfo::all();
        tree.follow(self, listed.as_deref().unwrap_or_default());
        self.submounts.all().push(tree);
    }

    /// Goes on following what an earlier agent did.
    ///
    /// # Errors
    /// [`BindError`]: what it followed is not mounted.
    pub fn follow_left(&self) -> Result<(), BindError> {
        let all = self.submounts.all();
        for tree in all.iter() {
            self.require(&tree.top)?;
        }
        if !all.is_empty()
            && let Err(error) = self.watch.follow_mounts()
        {
            log::warn!("cannot watch for mounts: {error}");
        }
        Ok(())
    }

    /// Shows what was mounted on the host since in directories that the container has, and takes
    /// away what is no longer.
    pub fn follow(&self) {
        if let Some(buffers) = self.buffers {
            buffers.write_ended();
        }
        let mut all = self.submounts.all();
        if all.is_empty() {
            return;
        }
        match mountinfo::all() {
            Ok(listed) => all.iter_mut().for_each(|tree| tree.follow(self, &listed)),
            Err(error) => log::warn!("container {}: cannot list mounts: {error}", self.id),
        }
    }

    /// Takes away what the host has unmounted, so that its file system ends when apps have closed
    /// the files of it that they have open.
    fn take_away(&self, below: &Below) -> Result<(), BindError> {
        let Some(attached) = &below.attached else {
            return Ok(());
        };
        let Some(root) = self.detach_one(attached)? else {
            return Ok(());
        };
        if let (Some(number), Some(buffers)) = (below.buffer, self.buffers) {
            match self.watch.follow_end(root.as_fd()) {
                Ok(ending) => buffers.end(number, ending),
                Err(error) => log::warn!(
                    "container {}: what was written to {} comes there when the container goes: \
                     {error}",
                    self.id,
                    attached.path().display()
                ),
            }
        }
        flush_and_close(root);
        Ok(())
    }
}

/// Lets go of a detached mount in a thread: its file system may be a slow one, and whoever has
/// unmounted it on the host expects that it is flushed, also while apps have files of it open.
fn flush_and_close(root: OwnedFd) {
    let flush = move || {
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let opened = rustix::fs::openat(&root, c".", flags, Mode::empty());
        // Nothing can be done about a device that is gone.
        let _ = opened.and_then(rustix::fs::syncfs);
    };
    // Without a thread it is closed here.
    let _ = thread::Builder::new().name("flush".to_owned()).spawn(flush);
}

impl Tree {
    fn follow(&mut self, mounts: &Mounts<'_>, listed: &[Mount]) {
        let wanted = self.wanted(mounts, listed);
        let gone: Vec<_> = self
            .below
            .iter()
            .filter(|(path, below)| {
                let wanted = wanted.get(*path);
                wanted.is_none_or(|wanted| wanted.on_host != below.on_host)
            })
            .map(|(path, _)| path.clone())
            .collect();
        // What is below others comes after them, and goes before.
        for path in gone.into_iter().rev() {
            let Some(below) = self.below.remove(&path) else {
                continue;
            };
            if let Err(error) = mounts.take_away(&below) {
                log::warn!("container {}: {}", mounts.id, Chain(&error));
            }
        }
        for (path, wanted) in wanted {
            if self.below.contains_key(&path) {
                continue;
            }
            let on_host = wanted.on_host;
            let below = match self.show_or_pin(mounts, &wanted, &path) {
                Ok((attached, buffer)) => Below {
                    on_host,
                    attached,
                    buffer,
                },
                Err(error) => {
                    let source = wanted.source.name().display();
                    log::warn!("container {}: {source}: {}", mounts.id, Chain(&error));
                    Below {
                        on_host,
                        attached: None,
                        buffer: None,
                    }
                }
            };
            self.below.insert(path, below);
        }
    }

    fn show_or_pin(
        &self,
        mounts: &Mounts<'_>,
        wanted: &Wanted,
        path: &Path,
    ) -> Result<(Option<Attached>, Option<u32>), BindError> {
        if !wanted.is_kernels {
            match self.show(mounts, &wanted.source, path) {
                Ok((attached, buffer)) => return Ok((Some(attached), buffer)),
                Err(error) => log::warn!(
                    "container {}: {} is not shown: {}",
                    mounts.id,
                    wanted.source.name().display(),
                    Chain(&error)
                ),
            }
        }
        // Elsewhere apps cannot change what is on the host.
        if self.read_only || mounts.buffers.is_some() {
            return Ok((None, None));
        }
        let pinned = mounts
            .namespaces
            .inside_mounts(|inside| container_path::pin_below(inside, &self.top, path))?;
        Ok((Some(pinned?), None))
    }

    /// What is mounted in the directory on the host, the upper one where one covers another.
    fn wanted(&self, mounts: &Mounts<'_>, listed: &[Mount]) -> BTreeMap<PathBuf, Wanted> {
        let mut wanted = BTreeMap::new();
        for mount in listed {
            let Ok(path) = mount.point.strip_prefix(&self.source) else {
                continue;
            };
            let is_own = |own: &PathBuf| mount.point.starts_with(own);
            if path.as_os_str().is_empty() || mounts.paths.own.iter().any(is_own) {
                continue;
            }
            // Covered by another one, or gone since.
            if let Ok(source) = HostSource::of_mount(&mount.point, self.owner)
                && let Ok(id) = MountId::of(source.as_fd())
                && id.id == mount.id
            {
                let one = Wanted {
                    on_host: id,
                    source,
                    is_kernels: KERNEL_INTERFACES.contains(&mount.kind.as_str()),
                };
                wanted.insert(path.to_owned(), one);
            }
        }
        wanted
    }

    fn show(
        &self,
        mounts: &Mounts<'_>,
        source: &HostSource,
        path: &Path,
    ) -> Result<(Attached, Option<u32>), BindError> {
        let mut mount = DetachedMount::of_file(source.as_fd(), source.name())?;
        if self.read_only {
            mount.make_read_only()?;
        }
        // Shown all the same where they cannot be mapped, which is logged.
        let _ = mounts.map_owners(&mount, source);
        mounts.place(source, mount, self.read_only, |mount| {
            let attached = mounts.namespaces.inside_mounts(|inside| {
                container_path::attach_below(inside, &self.top, path, mount)
            })?;
            Ok(attached?)
        })
    }
}
