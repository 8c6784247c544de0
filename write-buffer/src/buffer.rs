//! One buffered directory, from its mount to its sync.

use std::{
    ffi::CString,
    fs,
    io::Read,
    os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd},
    path::{Path, PathBuf},
};

use rustix::fs::{Mode, OFlags};

use crate::{
    attributes::{set_raw, xattrs_of},
    error::{Failure, LeftOut, RecordError, SyncError},
    failures::Failures,
    ids::map_ids_into_buffer,
    mapping::Mapping,
    mount::{Layers, clone, overlay},
    record::Record,
    sync::sync,
    tree::{Dir, stat_of},
};

/// A directory of the host whose writes go to an upper layer.
///
/// Everything that belongs to it lies in one directory of its own, on a file system with extended
/// attributes of the `trusted` class; a tmpfs limits its size. Dropping a `Buffer` leaves all of it
/// there.
#[derive(Debug)]
pub struct Buffer {
    directory: PathBuf,
    record: Record,
    /// The directory of the host, on a mount of its own: without those beneath it, as the overlay
    /// sees it, and the host can unmount its own one.
    host: OwnedFd,
}

impl Buffer {
    /// Covers the directory `host` (O_PATH is enough) with a write buffer in `directory`, which
    /// must not exist.
    ///
    /// `lower` is a detached mount of `host`, as open_tree(2) clones it, that shows its files with
    /// the owners that the container is to see; `mapping` says which those are. Returns the buffer
    /// and the overlay as a detached mount (nosuid, nodev) to be attached in the container by
    /// move_mount(2). The host sees no change until [`sync`](Self::sync).
    ///
    /// # Errors
    /// If a step fails; nothing is left behind then.
    pub fn mount(
        host: BorrowedFd<'_>,
        lower: OwnedFd,
        directory: &Path,
        mapping: Mapping,
    ) -> Result<(Buffer, OwnedFd), Failure> {
        // Opened first and named afterwards: whoever may rename it meanwhile cannot make these two
        // different directories.
        let (host, host_path) = open_and_name(host)?;
        let stat = stat_of(&host).map_err(|e| Failure::new("examine", &host_path, e))?;
        let buffer = Buffer {
            directory: directory.to_owned(),
            record: Record {
                host: host_path,
                device: (stat.stx_dev_major, stat.stx_dev_minor),
                inode: stat.stx_ino,
                mapping,
                temporary: temporary_name()?,
            },
            host,
        };
        make_dir(directory)?;
        match buffer.set_up(lower) {
            Ok(overlay) => Ok((buffer, overlay)),
            Err(error) => {
                // The first error is the one to report.
                let _ = fs::remove_dir_all(directory);
                Err(error)
            }
        }
    }

    fn set_up(&self, lower: OwnedFd) -> Result<OwnedFd, Failure> {
        let (upper, work, below) = (
            self.upper(),
            self.directory.join("work"),
            self.directory.join("lower"),
        );
        for dir in [&upper, &work, &below] {
            make_dir(dir)?;
        }
        self.dress_root(&upper)?;
        let layers = Layers {
            host: &self.record.host,
            lower: &below,
            upper: &upper,
            work: &work,
        };
        let overlay = overlay(lower, &layers)?;
        fs::remove_dir(&below).map_err(|error| Failure::new("remove", &below, error))?;
        self.record.write(&self.directory.join("record"))?;
        Ok(overlay)
    }

    /// The root of an overlay shows the attributes of the upper directory, so that gets the host's.
    fn dress_root(&self, upper: &Path) -> Result<(), Failure> {
        let fail = |action| move |errno| Failure::new(action, upper, errno);
        let mapping = self.record.mapping;
        let stat = stat_of(&self.host).map_err(fail("examine"))?;
        let mut xattrs = xattrs_of(&self.host).map_err(fail("read the attributes of"))?;
        xattrs.retain(|(name, _)| !name.to_bytes().starts_with(b"security."));
        for (name, value) in &mut xattrs {
            map_ids_into_buffer(name, value, mapping);
        }
        let upper_dir = Dir::open(upper)?;
        set_raw(
            &upper_dir,
            &stat,
            (
                mapping.user_in_buffer(stat.stx_uid),
                mapping.group_in_buffer(stat.stx_gid),
            ),
            &xattrs,
        )
        .map_err(fail("set the attributes of"))
    }

    /// Takes up the buffer in `directory` that another process left, for instance an agent that
    /// crashed; `None` if there is none or if nothing can have been written to it.
    ///
    /// # Errors
    /// If the record cannot be read, or its path on the host leads to another directory by now.
    pub fn open(directory: &Path) -> Result<Option<Buffer>, RecordError> {
        let Some(record) = Record::read(&directory.join("record"))? else {
            return Ok(None);
        };
        let host = open_host(&record.host)?;
        let stat = stat_of(&host).map_err(|e| Failure::new("examine", &record.host, e))?;
        let found = (stat.stx_dev_major, stat.stx_dev_minor);
        if (found, stat.stx_ino) != (record.device, record.inode) {
            return Err(RecordError::Replaced {
                host: record.host,
                kept: directory.join("upper"),
            });
        }
        Ok(Some(Buffer {
            directory: directory.to_owned(),
            record,
            host,
        }))
    }

    /// The directory of the host, canonical.
    pub fn host(&self) -> &Path {
        &self.record.host
    }

    /// The directory that holds everything that was written.
    pub fn upper(&self) -> PathBuf {
        self.directory.join("upper")
    }

    /// Writes everything to the host that it can hold; blocks until it is on disk. Returns what it
    /// cannot. The overlay must be gone, with
    /// all processes that used it. Can be repeated after a failure.
    ///
    /// # Errors
    /// Lists what could not be written; what could be is on the host, and all of it remains in
    /// [`upper`](Self::upper).
    pub fn sync(&self) -> Result<LeftOut, SyncError> {
        let mut failures = Failures::default();
        match self.layers() {
            Ok((upper, host)) => {
                failures = sync(&upper, &host, &self.record.temporary, self.record.mapping);
            }
            Err(failure) => failures.note(Err(failure)),
        }
        if failures.first.is_empty() {
            return Ok(failures.left_out);
        }
        Err(SyncError {
            host: self.record.host.clone(),
            kept: self.upper(),
            failures: failures.first,
            more: failures.more,
        })
    }

    fn layers(&self) -> Result<(Dir, Dir), Failure> {
        let path = &self.record.host;
        // Opened anew: what a descriptor has read of a directory would be left out of a repeat.
        let host = opened(self.host.as_fd()).map_err(|e| Failure::new("open", path, e))?;
        Ok((Dir::open(&self.upper())?, Dir::new(host, path)))
    }

    /// Removes the buffer with all that was written to it; after a successful [`sync`](Self::sync)
    /// that is on the host.
    ///
    /// # Errors
    /// If something could not be removed. It is no longer a buffer then: neither
    /// [`open`](Self::open) nor [`recover`](crate::recover) finds it.
    pub fn discard(self) -> Result<(), Failure> {
        let record = self.directory.join("record");
        fs::remove_file(&record).map_err(|error| Failure::new("remove", record, error))?;
        fs::remove_dir_all(&self.directory)
            .map_err(|error| Failure::new("remove", &self.directory, error))
    }
}

fn open_and_name(host: BorrowedFd<'_>) -> Result<(OwnedFd, PathBuf), Failure> {
    let link = format!("/proc/self/fd/{}", host.as_raw_fd());
    let name =
        fs::read_link(&link).map_err(|error| Failure::new("find the name of", link, error))?;
    let fail = |error| Failure::new("open", &name, error);
    let opened = on_own_mount(host).map_err(|errno| fail(errno.into()))?;
    // A directory that was removed has a name that leads nowhere.
    match fs::symlink_metadata(&name) {
        Ok(_) => Ok((opened, name)),
        Err(error) => Err(fail(error)),
    }
}

fn open_host(path: &Path) -> Result<OwnedFd, Failure> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::open(path, flags, Mode::empty())
        .and_then(|host| on_own_mount(host.as_fd()))
        .map_err(|e| Failure::new("open", path, e))
}

/// Opens a directory once more, on a clone of its mount that goes with the descriptor.
fn on_own_mount(dir: BorrowedFd<'_>) -> rustix::io::Result<OwnedFd> {
    opened(clone(dir)?.as_fd())
}

/// Opens a directory once more, to be read and not only as a path.
fn opened(dir: BorrowedFd<'_>) -> rustix::io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    rustix::fs::openat(dir, c".", flags, Mode::empty())
}

fn make_dir(path: &Path) -> Result<(), Failure> {
    rustix::fs::mkdir(path, Mode::RWXU).map_err(|e| Failure::new("create directory", path, e))
}

/// A name that nothing on the host has and that the container cannot guess.
fn temporary_name() -> Result<CString, Failure> {
    let source = Path::new("/dev/urandom");
    let mut random = [0u8; 8];
    fs::File::open(source)
        .and_then(|mut file| file.read_exact(&mut random))
        .map_err(|error| Failure::new("read", source, error))?;
    let name = format!(".write-buffer-{:016x}", u64::from_ne_bytes(random));
    CString::new(name)
        .map_err(|error| Failure::new("make a name from", source, std::io::Error::other(error)))
}
