//! Many small files at once: all are written before any gets its name, and the file system brings
//! them to disk together. One by one, each would wait for the disk.
//!
//! They are written to a directory in the one that they belong in: there they get what files of
//! that one inherit, be it a label or an encryption key, and what a loss of power leaves of them is
//! one directory. Files of many directories wait together.

use std::ffi::{CStr, CString};

use rustix::{
    fs::{FileType, Mode},
    io::Errno,
};

use crate::{
    attributes::Attributes,
    error::Failure,
    file::{Source, Writer},
    remove::remove,
    replace::replace,
    tree::{Dir, file_type},
    whiteouts::Entry,
};

/// A larger file is written by itself: the disk takes longer for it than for the wait.
const LARGEST: u64 = 256 << 10;
/// What may be written in addition to what is replaced by it, in bytes.
const BYTES: u64 = 16 << 20;
/// How many files may wait for each other: what was begun is lost with the power.
const FILES: usize = 4096;
/// How many directories may wait: each is held open.
const DIRECTORIES: usize = 128;

/// Whether a file may be written together with others: it is small, and has one name.
pub fn can_wait(source: &Source<'_>) -> bool {
    let stat = &source.stat;
    file_type(stat) == FileType::RegularFile && stat.stx_size <= LARGEST && stat.stx_nlink == 1
}

/// Files that are brought to disk together, and what has to come after they have their names.
#[derive(Default)]
pub struct Batch {
    staged: Vec<Staged>,
    /// Directories with their own attributes: new names in them change their times.
    directories: Vec<(Dir, Attributes)>,
    files: usize,
    bytes: u64,
}

/// The files of one directory.
struct Staged {
    /// Where they belong.
    host: Dir,
    /// Where they are.
    staging: Dir,
    /// Their names here and there.
    names: Vec<(CString, CString)>,
}

impl Staged {
    fn begin(host: &Dir, temporary: &CStr) -> Result<Self, Failure> {
        rustix::fs::mkdirat(host, temporary, Mode::RWXU)
            .map_err(|errno| host.failure("create directory", temporary, errno))?;
        let opened = host.duplicate().and_then(|own| {
            Ok(Self {
                host: own,
                staging: host.open_dir(temporary)?,
                names: Vec::new(),
            })
        });
        if opened.is_err() {
            let _ = remove(host, temporary);
        }
        opened
    }

    /// Whether there is a file to get its name later.
    fn stage(&mut self, writer: &mut Writer<'_>, source: &Source<'_>) -> Result<bool, Failure> {
        let (entry, attributes) = writer.look(source)?;
        match entry {
            Entry::Leaf(_) => {
                let name = number(self.names.len());
                let to = (&self.staging, name.as_c_str());
                if let Err(failure) = writer.write(source, &self.host, to, &attributes) {
                    let _ = remove(&self.staging, &name);
                    return Err(failure);
                }
                self.names.push((name, source.name.clone()));
                Ok(true)
            }
            Entry::Whiteout => remove(&self.host, &source.name).map(|()| false),
            // No directory can wait.
            Entry::Directory { .. } => Err(self.host.failure("write", &source.name, Errno::ISDIR)),
        }
    }
}

impl Batch {
    /// Writes files that belong in the directory `host`; those that have to be written one by one,
    /// because there is no room for them beside what the others replace.
    pub fn add<'a, 'b>(
        &mut self,
        writer: &mut Writer<'_>,
        sources: &'a [Source<'b>],
        host: &Dir,
    ) -> &'a [Source<'b>] {
        let mut rest = sources;
        while !rest.is_empty() {
            if self.is_full() {
                self.finish(writer);
            }
            if let Err(failure) = self.add_some(writer, &mut rest, host) {
                // What is replaced makes room for the others.
                self.finish(writer);
                if failure.is_for_want_of_room() {
                    return rest;
                }
                writer.failures.note(Err(failure));
                return &[];
            }
        }
        rest
    }

    /// Writes as many files of `rest` as may wait, and takes them from it.
    ///
    /// # Errors
    /// None can be written, or there is no more room.
    fn add_some(
        &mut self,
        writer: &mut Writer<'_>,
        rest: &mut &[Source<'_>],
        host: &Dir,
    ) -> Result<(), Failure> {
        let mut staged = Staged::begin(host, writer.temporary)?;
        let mut result = Ok(());
        while let Some((source, left)) = rest.split_first()
            && !self.is_full()
        {
            match staged.stage(writer, source) {
                Ok(is_file) => {
                    self.files += usize::from(is_file);
                    self.bytes += source.stat.stx_size;
                }
                Err(failure) if failure.is_for_want_of_room() => {
                    result = Err(failure);
                    break;
                }
                Err(failure) => writer.failures.note(Err(failure)),
            }
            *rest = left;
        }
        self.staged.push(staged);
        result
    }

    /// Gives a directory its own attributes when the files that wait have their names.
    pub fn add_directory(
        &mut self,
        writer: &mut Writer<'_>,
        directory: Dir,
        attributes: Attributes,
    ) {
        self.directories.push((directory, attributes));
        if self.is_full() {
            self.finish(writer);
        }
    }

    fn is_full(&self) -> bool {
        self.files >= FILES
            || self.bytes >= BYTES
            || self.staged.len() + self.directories.len() >= DIRECTORIES
    }

    /// Brings what waits to disk, and then to its names.
    pub fn finish(&mut self, writer: &mut Writer<'_>) {
        let Self {
            staged,
            directories,
            ..
        } = std::mem::take(self);
        let flushed = match staged.first() {
            Some(first) => rustix::fs::syncfs(&first.staging)
                .map_err(|errno| Failure::new("flush", first.host.path(), errno)),
            None => Ok(()),
        };
        let is_on_disk = flushed.is_ok();
        writer.failures.note(flushed);
        for one in staged {
            for (name, wanted) in &one.names {
                if is_on_disk {
                    let replaced = replace(&one.staging, name, &one.host, wanted);
                    writer.failures.note(replaced);
                }
            }
            let removed = remove(&one.host, writer.temporary);
            if is_on_disk {
                writer.failures.note(removed);
            }
        }
        for (directory, attributes) in directories {
            let applied = attributes.apply(&directory, directory.path());
            writer.failures.note(applied);
        }
    }
}

/// A name that is a number.
fn number(index: usize) -> CString {
    CString::new(index.to_string()).unwrap_or_default()
}
