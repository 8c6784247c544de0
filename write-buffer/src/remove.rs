//! Removing a tree without ever leaving it.

use std::ffi::CStr;

use rustix::{fs::AtFlags, io::Errno};

use crate::{
    error::Failure,
    tree::{Dir, MAX_DEPTH},
};

/// Removes `name` from `dir`, with everything beneath it; that there is none is fine.
pub fn remove(dir: &Dir, name: &CStr) -> Result<(), Failure> {
    remove_at(dir, name, 0)
}

fn remove_at(dir: &Dir, name: &CStr, depth: usize) -> Result<(), Failure> {
    match rustix::fs::unlinkat(dir, name, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => return Ok(()),
        // POSIX has EPERM for a directory, Linux EISDIR; EPERM may also mean an immutable file.
        Err(Errno::ISDIR | Errno::PERM) => {}
        Err(errno) => return Err(dir.failure("remove", name, errno)),
    }
    match rustix::fs::unlinkat(dir, name, AtFlags::REMOVEDIR) {
        Ok(()) | Err(Errno::NOENT) => return Ok(()),
        Err(Errno::NOTEMPTY | Errno::EXIST) => {}
        Err(Errno::NOTDIR) => return Err(dir.failure("remove", name, Errno::PERM)),
        Err(errno) => return Err(dir.failure("remove", name, errno)),
    }
    if depth == MAX_DEPTH {
        return Err(dir.failure("remove the deeply nested", name, Errno::NAMETOOLONG));
    }
    let child = dir.open_dir(name)?;
    for entry in child.names()? {
        remove_at(&child, &entry, depth + 1)?;
    }
    match rustix::fs::unlinkat(dir, name, AtFlags::REMOVEDIR) {
        Ok(()) | Err(Errno::NOENT) => Ok(()),
        Err(errno) => Err(dir.failure("remove", name, errno)),
    }
}
