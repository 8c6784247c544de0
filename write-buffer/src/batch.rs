//! Many small files at once: all are written before any gets its name, and the file system brings
//! them to disk together. One by one, each would wait for the disk.
//!
//! They are written to a directory in the one that they belong in: there they get what files of
//! that one inherit, be it a label or an encryption key, and what a loss of power leaves of them is
//! one directory.

use std::ffi::CString;

use rustix::{
    fs::{FileType, Mode},
    io::Errno,
};

use crate::{
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
const FILES: usize = 500;

/// Whether a file may be written together with others: it is small, and has one name.
pub fn can_wait(source: &Source<'_>) -> bool {
    let stat = &source.stat;
    file_type(stat) == FileType::RegularFile && stat.stx_size <= LARGEST && stat.stx_nlink == 1
}

/// The files that are written together.
pub fn batches<'a, 'b>(sources: &'a [Source<'b>]) -> impl Iterator<Item = &'a [Source<'b>]> {
    let mut rest = sources;
    std::iter::from_fn(move || {
        let mut bytes = 0;
        let fitting = rest.iter().take(FILES).take_while(|source| {
            bytes += source.stat.stx_size;
            bytes <= BYTES
        });
        let (now, later) = rest.split_at(fitting.count());
        rest = later;
        (!now.is_empty()).then_some(now)
    })
}

impl Writer<'_> {
    /// Writes files; those that have to be written one by one, because there was no room for them
    /// beside what the others have replaced, or because it is only one.
    pub fn write_together<'a, 'b>(
        &mut self,
        sources: &'a [Source<'b>],
        host: &Dir,
    ) -> &'a [Source<'b>] {
        if sources.len() < 2 {
            return sources;
        }
        let result = self.write_batch(sources, host);
        let removed = remove(host, self.temporary);
        match result {
            Ok(left) => {
                self.failures.note(removed);
                left
            }
            // The second failure adds nothing to the report.
            Err(failure) => {
                self.failures.note(Err(failure));
                &[]
            }
        }
    }

    /// Writes as many as there is room for; the others.
    fn write_batch<'a, 'b>(
        &mut self,
        sources: &'a [Source<'b>],
        host: &Dir,
    ) -> Result<&'a [Source<'b>], Failure> {
        match rustix::fs::mkdirat(host, self.temporary, Mode::RWXU) {
            Ok(()) => {}
            Err(Errno::NOSPC | Errno::DQUOT) => return Ok(sources),
            Err(errno) => return Err(host.failure("create directory", self.temporary, errno)),
        }
        let staging = host.open_dir(self.temporary)?;
        let mut staged = Vec::new();
        let mut left = &sources[sources.len()..];
        for (index, source) in sources.iter().enumerate() {
            let name = number(index);
            match self.stage(source, host, &staging, &name) {
                Ok(true) => staged.push((name, source)),
                Ok(false) => {}
                Err(failure) => {
                    let _ = remove(&staging, &name);
                    if failure.is_for_want_of_room() {
                        left = &sources[index..];
                        break;
                    }
                    self.failures.note(Err(failure));
                }
            }
        }
        rustix::fs::syncfs(&staging).map_err(|errno| Failure::new("flush", host.path(), errno))?;
        for (name, source) in staged {
            let replaced = replace(&staging, &name, host, &source.name);
            self.failures.note(replaced);
        }
        Ok(left)
    }

    /// Whether there is a file to get its name later.
    fn stage(
        &mut self,
        source: &Source<'_>,
        host: &Dir,
        staging: &Dir,
        name: &CString,
    ) -> Result<bool, Failure> {
        let (entry, attributes) = self.look(source)?;
        match entry {
            Entry::Leaf(_) => self
                .write(source, host, (staging, name), &attributes)
                .map(|_| true),
            Entry::Whiteout => remove(host, &source.name).map(|()| false),
            // No directory can wait.
            Entry::Directory { .. } => Err(host.failure("write", &source.name, Errno::ISDIR)),
        }
    }
}

/// A name that is a number.
fn number(index: usize) -> CString {
    CString::new(index.to_string()).unwrap_or_default()
}
