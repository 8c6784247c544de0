//! The write buffers of one container.

use std::{
    collections::BTreeMap,
    fmt, fs, mem,
    os::fd::AsFd as _,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread::{self, JoinHandle},
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
        watch::Ending,
    },
};

/// The write buffers of one container: one for each directory of the host that is mounted in it.
#[derive(Debug)]
pub struct Buffers {
    directory: PathBuf,
    mapping: Mapping,
    unwritten: Arc<Unwritten>,
    state: Arc<Mutex<State>>,
}

/// By their number.
#[derive(Debug, Default)]
struct State {
    made: u32,
    kept: BTreeMap<u32, Buffer>,
    /// Taken away from the container, but maybe in use.
    ending: Vec<(u32, Ending)>,
    writing: Vec<JoinHandle<()>>,
}

/// A directory with a buffer that is not mounted anywhere yet.
#[derive(Debug)]
pub struct Covered {
    /// The overlay.
    pub mount: DetachedMount,
    number: u32,
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
            state: Arc::default(),
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
            let number = number.unwrap_or(0);
            let mut state = buffers.state();
            state.made = state.made.max(number);
            if let Some(buffer) = Buffer::open(&entry.path())? {
                state.kept.insert(number, buffer);
            }
        }
        Ok(buffers)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
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
        let number = {
            let mut state = self.state();
            state.made += 1;
            state.made
        };
        let directory = self.directory.join(number.to_string());
        let mapping = match host.owner() {
            Some((user, group)) => self.mapping.of_single_owner(user, group),
            None => self.mapping,
        };
        let (buffer, overlay) = Buffer::mount(host.as_fd(), lower.into_fd(), &directory, mapping)?;
        Ok(Covered {
            mount: DetachedMount::of_overlay(overlay, host.name()),
            number,
            buffer,
        })
    }

    /// Takes over the buffer of a directory that has been mounted in the container; its number.
    pub fn keep(&self, covered: Covered) -> u32 {
        self.state().kept.insert(covered.number, covered.buffer);
        covered.number
    }

    /// The directory of this number was taken away from the container, because the host has
    /// unmounted it: it is written when its overlay has ended.
    pub fn end(&self, number: u32, ending: Ending) {
        self.state().ending.push((number, ending));
    }

    /// Begins to write those whose overlays have [ended](Self::end).
    pub fn write_ended(&self) {
        let mut state = self.state();
        state.writing.retain(|writing| !writing.is_finished());
        let over: Vec<_> = state
            .ending
            .extract_if(.., |(_, it)| it.is_over())
            .collect();
        for (number, _) in over {
            let (all, unwritten) = (self.state.clone(), self.unwritten.clone());
            let write = move || write_one(&all, number, &unwritten);
            let thread = thread::Builder::new().name("write".to_owned());
            match thread.spawn(write) {
                Ok(writing) => state.writing.push(writing),
                Err(error) => log::warn!("a write buffer is written later: {error}"),
            }
        }
    }

    /// Writes all buffers to the host, after the container's processes and mounts are gone. What is
    /// written is removed here; a repeat goes on with what is left.
    ///
    /// # Errors
    /// [`BuffersError`] with every buffer that could not be written.
    pub fn sync(&self) -> Result<(), BuffersError> {
        let writing = mem::take(&mut self.state().writing);
        for writing in writing {
            // One that has panicked has lost nothing: its buffer is in its directory.
            let _ = writing.join();
        }
        let mut errors = Vec::new();
        let buffers = mem::take(&mut self.state().kept);
        for (number, buffer) in buffers {
            if let Err(failed) = write(buffer, &self.unwritten) {
                let (buffer, error) = *failed;
                errors.push(error);
                self.state().kept.insert(number, buffer);
            }
        }
        if errors.is_empty() {
            Ok(())
        } else {
            Err(BuffersError(errors))
        }
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Writes the buffer of this number to a directory that the host has unmounted.
fn write_one(state: &Mutex<State>, number: u32, unwritten: &Unwritten) {
    let Some(buffer) = lock(state).kept.remove(&number) else {
        return;
    };
    let host = buffer.host().to_owned();
    match write(buffer, unwritten) {
        Ok(()) => log::info!("what was written to {} is there", host.display()),
        Err(failed) => {
            let (buffer, error) = *failed;
            log::error!("{}", Chain(&error));
            lock(state).kept.insert(number, buffer);
        }
    }
}

/// Writes a buffer to the host and removes it.
fn write(buffer: Buffer, unwritten: &Unwritten) -> Result<(), Box<(Buffer, SyncError)>> {
    match buffer.sync() {
        Ok(left_out) => {
            if !left_out.first.is_empty() {
                log::error!("left out of what was written: {left_out}");
            }
            unwritten.remove(&entry(&buffer));
            if let Err(error) = buffer.discard() {
                // The tmpfs it is on goes next.
                log::warn!("after its contents were written: {}", Chain(&error));
            }
            Ok(())
        }
        Err(error) => {
            unwritten.add([entry(&buffer)]);
            Err(Box::new((buffer, error)))
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
