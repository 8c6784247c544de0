//! What containers have buffered and could not be written to the host yet.

use std::{
    collections::BTreeSet,
    fs, io,
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
};

use softwarecontainer_write_buffer::recover;

use crate::{
    error_chain::Chain,
    host::mount::{self, MountError},
};

/// The directory of buffers in a container's directory.
pub(super) const BUFFERS: &str = "buffers";
/// Where containers' directories go whose buffers cannot be written, beside those of containers.
const KEPT: &str = "kept";

/// Host directories with buffers that could not be written, because of the host: a full disk, for
/// example. They get further buffers all the same: no container's rest is in the way of others.
#[derive(Debug, Default)]
pub struct Unwritten(Mutex<BTreeSet<(PathBuf, PathBuf)>>);

impl Unwritten {
    fn all(&self) -> MutexGuard<'_, BTreeSet<(PathBuf, PathBuf)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Remembers host directories with their buffers, as long as the agent runs.
    pub fn add(&self, entries: impl IntoIterator<Item = (PathBuf, PathBuf)>) {
        self.all().extend(entries);
    }

    /// The buffer of a host directory has been written.
    pub fn remove(&self, entry: &(PathBuf, PathBuf)) {
        self.all().remove(entry);
    }

    /// The host directories.
    pub fn sources(&self) -> BTreeSet<PathBuf> {
        self.all().iter().map(|(host, _)| host.clone()).collect()
    }

    /// Warns if `host` is one of them or in one: when the rest is written after all, it replaces
    /// what was written since.
    pub fn warn_of(&self, host: &Path) {
        let all = self.all();
        let found = all
            .iter()
            .find(|(unwritten, _)| host.starts_with(unwritten));
        if let Some((unwritten, buffer)) = found {
            log::warn!(
                "an earlier write buffer of {} could not be written yet and is in {}",
                unwritten.display(),
                buffer.display()
            );
        }
    }
}

/// Writes to the host what an earlier agent's container in `directory` had in its buffers.
///
/// # Errors
/// The directories of the host to which something could not be written and has to stay, as far as
/// they are known; why is logged.
pub fn recover_from(directory: &Path) -> Result<(), Vec<PathBuf>> {
    match recover(&directory.join(BUFFERS)) {
        Ok(recovered) => {
            for host in &recovered.synced {
                log::info!(
                    "wrote to {} what a container of an earlier agent had buffered",
                    host.display()
                );
            }
            for left_out in &recovered.left_out {
                log::error!("left out of what was written: {left_out}");
            }
            for error in &recovered.kept {
                log::error!("{}", Chain(&**error));
            }
            if recovered.kept.is_empty() {
                Ok(())
            } else {
                Err(recovered.unwritten)
            }
        }
        Err(error) => {
            log::error!("{}", Chain(&error));
            Err(Vec::new())
        }
    }
}

/// Moves a container's directory, a tmpfs, out of the way of new containers, to `kept` in
/// `shared_mounts_dir`; its new path.
///
/// # Errors
/// [`MountError`].
pub fn set_aside(shared_mounts_dir: &Path, directory: &Path) -> Result<PathBuf, MountError> {
    let parent = shared_mounts_dir.join(KEPT);
    let at = |path: &Path, error: io::Error| MountError::new("make", path, error);
    fs::create_dir_all(&parent).map_err(|e| at(&parent, e))?;
    let name = directory.file_name().unwrap_or_default().to_string_lossy();
    let mut number = 0;
    let kept = loop {
        let kept = parent.join(format!("{name}-{number}"));
        match fs::create_dir(&kept) {
            Ok(()) => break kept,
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => number += 1,
            Err(e) => return Err(at(&kept, e)),
        }
    };
    mount::unmount_below(directory)?;
    // A copy in place of a move, which the kernel does not allow out of a shared mount.
    let moved = mount::bind(directory, &kept).and_then(|()| mount::unmount(directory));
    if let Err(error) = moved {
        let _ = fs::remove_dir(&kept);
        return Err(error);
    }
    fs::remove_dir(directory).map_err(|e| MountError::new("remove", directory, e))?;
    Ok(kept)
}

/// Tries once more to write what is in `kept`, and removes what is written.
///
/// # Errors
/// Every failure to remove a directory whose contents are written.
pub fn retry_kept(shared_mounts_dir: &Path, unwritten: &Unwritten) -> Vec<MountError> {
    let parent = shared_mounts_dir.join(KEPT);
    let mut errors = Vec::new();
    for entry in fs::read_dir(&parent).into_iter().flatten().flatten() {
        let kept = entry.path();
        match recover_from(&kept) {
            Ok(()) => errors.extend(mount::remove_with_mounts(&kept).err()),
            Err(hosts) => unwritten.add(hosts.into_iter().map(|host| (host, kept.clone()))),
        }
    }
    // Fails as long as something is in it, as it should.
    let _ = fs::remove_dir(&parent);
    errors
}
