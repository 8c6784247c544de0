//! The write buffers of one container, and of containers that an earlier agent left.

use std::{
    collections::BTreeSet,
    fmt, fs, io,
    os::fd::BorrowedFd,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use softwarecontainer_write_buffer::{
    Buffer, Mapping, MountError as BufferMountError, SyncError, recover,
};

use super::lxc_config::ID_RANGE;
use crate::{
    gateway::Cause,
    host::{
        allowed_path::AllowedPath,
        container_path::Owner,
        mount::{self, DetachedMount, MountError},
    },
};

/// The directory of buffers in a container's directory.
const BUFFERS: &str = "buffers";
/// Where containers' directories go whose buffers cannot be written, beside those of containers.
const KEPT: &str = "kept";

/// Host directories with buffers that could not be written. They get no further buffers: an app
/// could fill the host's memory with some, and whichever is written later would undo the other.
#[derive(Debug, Default)]
pub struct Unwritten(Mutex<BTreeSet<(PathBuf, PathBuf)>>);

impl Unwritten {
    fn all(&self) -> MutexGuard<'_, BTreeSet<(PathBuf, PathBuf)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Remembers directories whose buffers are in `place`, as long as the agent runs.
    pub fn add(&self, place: &Path, hosts: Vec<PathBuf>) {
        let entries = hosts.into_iter().map(|host| (host, place.to_owned()));
        self.all().extend(entries);
    }

    /// Checks that `host` is none of them, nor in one.
    fn check(&self, host: &Path) -> Result<(), Cause> {
        let all = self.all();
        match all
            .iter()
            .find(|(unwritten, _)| host.starts_with(unwritten))
        {
            None => Ok(()),
            Some((unwritten, place)) => Err(Cause::Unwritten {
                host: unwritten.clone(),
                place: place.clone(),
            }),
        }
    }
}

/// The write buffers of one container: one for each directory of the host that is mounted in it.
#[derive(Debug)]
pub struct Buffers {
    directory: PathBuf,
    mapping: Mapping,
    unwritten: Arc<Unwritten>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    made: u32,
    kept: Vec<Buffer>,
}

/// A directory with a buffer that is not mounted anywhere yet.
#[derive(Debug)]
pub struct Covered {
    /// The overlay.
    pub mount: DetachedMount,
    buffer: Buffer,
}

impl Covered {
    /// Removes the buffer of a directory that could not be mounted.
    pub fn discard(self) {
        drop(self.mount);
        if let Err(error) = self.buffer.discard() {
            log::error!("removing an unused write buffer: {error}");
        }
    }
}

impl Buffers {
    /// The buffers of a container whose directory on the host is `directory`, a tmpfs, and whose
    /// root has the host IDs `owner`.
    pub fn new(directory: &Path, owner: Owner, unwritten: Arc<Unwritten>) -> Self {
        let mapping = match owner.0 {
            0 => Mapping::IDENTITY,
            first => Mapping::shift(first, ID_RANGE),
        };
        Self {
            directory: directory.join(BUFFERS),
            mapping,
            unwritten,
            state: Mutex::default(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Covers a directory of the host; `namespace` is the container's user namespace.
    ///
    /// # Errors
    /// [`Cause`]; nothing is left then.
    pub fn cover(
        &self,
        host: &AllowedPath,
        namespace: Option<BorrowedFd<'_>>,
    ) -> Result<Covered, Cause> {
        let path = host.stable();
        let host = host.name();
        self.unwritten.check(host)?;
        fs::create_dir_all(&self.directory)
            .map_err(|e| MountError::new("make", &self.directory, e))?;
        let place = {
            let mut state = self.state();
            state.made += 1;
            self.directory.join(state.made.to_string())
        };
        let (buffer, overlay) = match Buffer::mount(&path, &place, self.mapping, namespace) {
            Err(error @ BufferMountError::Idmap { .. }) => {
                // As for a mount without buffer: such files belong to nobody in the container.
                log::warn!("{error}; files there show no owner");
                Buffer::mount(&path, &place, self.mapping, None)?
            }
            result => result?,
        };
        Ok(Covered {
            mount: DetachedMount::of_overlay(overlay, host),
            buffer,
        })
    }

    /// Takes over the buffer of a directory that has been mounted in the container.
    pub fn keep(&self, covered: Covered) {
        self.state().kept.push(covered.buffer);
    }

    /// Writes all buffers to the host, after the container's processes and mounts are gone. What is
    /// written is removed here; a repeat goes on with what is left.
    ///
    /// # Errors
    /// [`BuffersError`] with every buffer that could not be written.
    pub fn sync(&self) -> Result<(), BuffersError> {
        let mut errors = Vec::new();
        let buffers = std::mem::take(&mut self.state().kept);
        let mut left = Vec::new();
        for buffer in buffers {
            match buffer.sync() {
                Ok(()) => {
                    self.unwritten.all().remove(&entry(&buffer));
                    if let Err(error) = buffer.discard() {
                        // The tmpfs it is on goes next.
                        log::warn!("after its contents were written: {error}");
                    }
                }
                Err(error) => {
                    errors.push(error);
                    self.unwritten.all().insert(entry(&buffer));
                    left.push(buffer);
                }
            }
        }
        self.state().kept = left;
        if errors.is_empty() {
            Ok(())
        } else {
            Err(BuffersError(errors))
        }
    }
}

fn entry(buffer: &Buffer) -> (PathBuf, PathBuf) {
    (buffer.host().to_owned(), buffer.upper())
}

/// Buffers that could not be written to the host. Each error says where its contents remain.
#[derive(Debug)]
pub struct BuffersError(Vec<SyncError>);

impl fmt::Display for BuffersError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, error) in self.0.iter().enumerate() {
            let separator = if index == 0 { "" } else { "; " };
            write!(f, "{separator}{error}")?;
        }
        Ok(())
    }
}

impl std::error::Error for BuffersError {}

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
            for error in &recovered.kept {
                log::error!("{error}");
            }
            if recovered.kept.is_empty() {
                Ok(())
            } else {
                Err(recovered.unwritten)
            }
        }
        Err(error) => {
            log::error!("{error}");
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
    let place = loop {
        let place = parent.join(format!("{name}-{number}"));
        match fs::create_dir(&place) {
            Ok(()) => break place,
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => number += 1,
            Err(e) => return Err(at(&place, e)),
        }
    };
    mount::unmount_below(directory)?;
    // A copy in place of a move, which the kernel does not allow out of a shared mount.
    let moved = mount::bind(directory, &place).and_then(|()| mount::unmount(directory));
    if let Err(error) = moved {
        let _ = fs::remove_dir(&place);
        return Err(error);
    }
    fs::remove_dir(directory).map_err(|e| MountError::new("remove", directory, e))?;
    Ok(place)
}

/// Tries once more to write what is in `kept`, and removes what is written.
///
/// # Errors
/// Every failure to remove a directory whose contents are written.
pub fn retry_kept(shared_mounts_dir: &Path, unwritten: &Unwritten) -> Vec<MountError> {
    let parent = shared_mounts_dir.join(KEPT);
    let mut errors = Vec::new();
    for entry in fs::read_dir(&parent).into_iter().flatten().flatten() {
        let place = entry.path();
        match recover_from(&place) {
            Ok(()) => errors.extend(super::rootfs::remove(&place).err()),
            Err(hosts) => unwritten.add(&place, hosts),
        }
    }
    // Fails as long as something is in it, as it should.
    let _ = fs::remove_dir(&parent);
    errors
}
