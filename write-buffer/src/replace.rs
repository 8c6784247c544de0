//! Putting a finished file or directory under its name in one step.

use std::ffi::CStr;

use rustix::{
    fs::{AtFlags, RenameFlags},
    io::Errno,
};

use crate::{
    error::Failure,
    remove::remove,
    tree::{Dir, is_dir},
};

/// Renames `temporary` in `from` to `name` in `dir`, replacing whatever is there, of whatever type.
pub fn replace(from: &Dir, temporary: &CStr, dir: &Dir, name: &CStr) -> Result<(), Failure> {
    let fail = |errno| dir.failure("replace", name, errno);
    let new_is_dir = from.stat(temporary)?.is_some_and(|stat| is_dir(&stat));
    let old_is_dir = dir.stat(name)?.map(|stat| is_dir(&stat));
    match old_is_dir {
        Some(old_is_dir) if old_is_dir || new_is_dir => {
            match rustix::fs::renameat_with(from, temporary, dir, name, RenameFlags::EXCHANGE) {
                Ok(()) => return remove(from, temporary),
                // Not every file system can exchange; then the old one has to go first.
                Err(Errno::INVAL | Errno::NOSYS) => remove(dir, name)?,
                Err(errno) => return Err(fail(errno)),
            }
        }
        _ => {}
    }
    rustix::fs::renameat(from, temporary, dir, name).map_err(fail)?;
    // rename(2) does nothing, successfully, if both names are links to one file.
    match rustix::fs::unlinkat(from, temporary, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => Ok(()),
        Err(errno) => Err(from.failure("remove", temporary, errno)),
    }
}
