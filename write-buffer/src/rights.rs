//! Set-user-ID and set-group-ID bits and file capabilities: with them a program has rights that who
//! starts it lacks.
//!
//! The kernel takes them from a file that is written to, but not from one that is changed through
//! memory (mmap(2)), and io_uring(7) makes files with any mode past every filter of system calls.
//! So a file in the buffer keeps only what the host has given to the same contents.

use std::{
    ffi::CStr,
    fs::File,
    io,
    os::unix::fs::{FileExt as _, MetadataExt as _},
};

use rustix::fs::{FileType, Mode, OFlags, Statx};

use crate::{
    attributes::{Attributes, xattrs_of},
    error::Failure,
    tree::{Dir, stat_of},
};

/// Compared at a time.
const CHUNK: usize = 64 * 1024;

/// The attributes that a file is to have on the host, where `name` is what it replaces.
pub fn without_new_rights(
    attributes: &Attributes,
    contents: &File,
    host: &Dir,
    name: &CStr,
) -> Result<Attributes, Failure> {
    let Some((old, stat)) = open_regular(host, name)? else {
        return Ok(attributes.with_rights_of(None));
    };
    let same = are_same(contents, &old)
        .map_err(|error| Failure::new("compare", host.path_of(name), error))?;
    if !same {
        return Ok(attributes.with_rights_of(None));
    }
    let xattrs =
        xattrs_of(&old).map_err(|errno| host.failure("read the attributes of", name, errno))?;
    Ok(attributes.with_rights_of(Some((&stat, &xattrs))))
}

/// A regular file of the host; somebody there may swap it at any moment.
fn open_regular(host: &Dir, name: &CStr) -> Result<Option<(File, Statx)>, Failure> {
    let is_regular = |stat: &Statx| crate::tree::file_type(stat) == FileType::RegularFile;
    if !host.stat(name)?.is_some_and(|stat| is_regular(&stat)) {
        return Ok(None);
    }
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY;
    let file = File::from(host.open_file(name, flags, Mode::empty())?);
    let stat = stat_of(&file).map_err(|errno| host.failure("examine", name, errno))?;
    Ok(is_regular(&stat).then_some((file, stat)))
}

fn are_same(one: &File, other: &File) -> io::Result<bool> {
    let size = one.metadata()?.size();
    if other.metadata()?.size() != size {
        return Ok(false);
    }
    let (mut left, mut right) = (vec![0; CHUNK], vec![0; CHUNK]);
    let mut offset = 0;
    while offset < size {
        let length = CHUNK.min(usize::try_from(size - offset).unwrap_or(CHUNK));
        let (left, right) = (&mut left[..length], &mut right[..length]);
        one.read_exact_at(left, offset)?;
        match other.read_exact_at(right, offset) {
            // It has been truncated meanwhile.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(false),
            result => result?,
        }
        if left != right {
            return Ok(false);
        }
        offset += u64::try_from(length).unwrap_or(size);
    }
    Ok(true)
}
