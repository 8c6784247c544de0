//! The write buffers of one container.

use std::{
    fmt, fs,
    os::fd::AsFd as _,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use softwarecontainer_write_buffer::{Buffer, Mapping, RecordError, SyncError};

use super::{
    error::BindError,
    host_source::HostSource,
    unwritten::{BUFFERS, Unwritten},
};
use crate::{
    error_chain::Chain,
    host::{
        app_user::AppUser,
        container_path::Owner,
        mount::{DetachedMount, MountError},
        user_namespace::ID_RANGE,
    },
};

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
            log::error!("removing an unused write buffer: {}", Chain(&error));
        }
    }
}

impl Buffers {
    /// The buffers of a container whose directory on the host is `directory`, a tmpfs, and whose
    /// root has the host IDs `owner`.
    pub fn new(directory: &Path, owner: Owner, user: AppUser, unwritten: Arc<Unwritten>) -> Self {
        let mapping = match owner.0 {
            0 => Mapping::IDENTITY,
            first => Mapping::shift(first, ID_RANGE).seen_as(user.inside),
        };
        Self {
            directory: directory.join(BUFFERS),
            mapping,
            unwritten,
            state: Mutex::default(),
        }
    }

    /// The buffers that an earlier agent has left of a container that runs.
    ///
    /// # Errors
    /// [`RecordError`]: they cannot be read, or the host has another directory by now.
    pub fn left(
        directory: &Path,
        owner: Owner,
        user: AppUser,
        unwritten: Arc<Unwritten>,
    ) -> Result<Self, RecordError> {
        let buffers = Self::new(directory, owner, user, unwritten);
        for entry in fs::read_dir(&buffers.directory)
            .into_iter()
            .flatten()
            .flatten()
        {
            let number = entry.file_name().to_str().and_then(|it| it.parse().ok());
            let mut state = buffers.state();
            state.made = state.made.max(number.unwrap_or(0));
            state.kept.extend(Buffer::open(&entry.path())?);
        }
        Ok(buffers)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Covers a directory of the host; `lower` is a mount of it as the container is to see it, and
    /// what is written there belongs to the source's [owner](HostSource::owner) if it has one.
    ///
    /// # Errors
    /// [`BindError`]; nothing is left then.
    pub fn cover(&self, host: &HostSource, lower: DetachedMount) -> Result<Covered, BindError> {
        self.unwritten.warn_of(host.name());
        fs::create_dir_all(&self.directory)
            .map_err(|e| MountError::new("make", &self.directory, e))?;
        let directory = {
            let mut state = self.state();
            state.made += 1;
            self.directory.join(state.made.to_string())
        };
        let mapping = match host.owner() {
            Some((user, group)) => self.mapping.of_single_owner(user, group),
            None => self.mapping,
        };
        let (buffer, overlay) = Buffer::mount(host.as_fd(), lower.into_fd(), &directory, mapping)?;
        Ok(Covered {
            mount: DetachedMount::of_overlay(overlay, host.name()),
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
                Ok(left_out) => {
                    if !left_out.first.is_empty() {
                        log::error!("left out of what was written: {left_out}");
                    }
                    self.unwritten.remove(&entry(&buffer));
                    if let Err(error) = buffer.discard() {
                        // The tmpfs it is on goes next.
                        log::warn!("after its contents were written: {}", Chain(&error));
                    }
                }
                Err(error) => {
                    errors.push(error);
                    self.unwritten.add([entry(&buffer)]);
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
