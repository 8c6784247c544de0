//! Owner, mode, times and extended attributes of a file: read in the buffer, applied on the host.

use std::{
    ffi::{CStr, CString},
    os::fd::{AsFd, AsRawFd},
    path::Path,
};

use rustix::{
    fs::{
        AtFlags, CWD, FileType, Gid, Mode, Statx, StatxTimestamp, Timespec, Timestamps, Uid,
        XattrFlags,
    },
    io::Errno,
};

use crate::{
    error::Failure,
    ids::map_ids,
    mapping::Mapping,
    tree::file_type,
    whiteouts::{Xattrs, host_xattr_name},
};

/// The bits of a mode that give a program the rights of its file's user or group (inode(7)).
const SET_IDS: Mode = Mode::SUID.union(Mode::SGID);
/// The attribute that gives a program kernel capabilities (capabilities(7), "File capabilities").
const FILE_CAPABILITIES: &CStr = c"security.capability";

/// What a file on the host is to have besides its contents.
#[derive(Clone)]
pub struct Attributes {
    owner: Uid,
    group: Gid,
    mode: Mode,
    times: Timestamps,
    xattrs: Xattrs,
    symlink: bool,
}

impl Attributes {
    /// Takes the attributes of a file in the buffer, with its ids mapped to those on disk.
    pub fn of(stat: &Statx, xattrs: &Xattrs, mapping: Mapping) -> Attributes {
        let mut on_host = Xattrs::new();
        for (name, value) in xattrs {
            let Some(name) = host_xattr_name(name) else {
                continue;
            };
            if is_label(&name) {
                continue;
            }
            let mut value = value.clone();
            map_ids(&name, &mut value, mapping);
            on_host.push((name, value));
        }
        Attributes {
            owner: Uid::from_raw(mapping.user_on_disk(stat.stx_uid)),
            group: Gid::from_raw(mapping.group_on_disk(stat.stx_gid)),
            mode: Mode::from_raw_mode(stat.stx_mode.into()),
            times: Timestamps {
                last_access: timespec(&stat.stx_atime),
                last_modification: timespec(&stat.stx_mtime),
            },
            xattrs: on_host,
            symlink: file_type(stat) == FileType::Symlink,
        }
    }

    /// Whether a program with these attributes has rights that who starts it lacks.
    pub fn give_rights(&self) -> bool {
        self.mode.intersects(SET_IDS)
            || self
                .xattrs
                .iter()
                .any(|(name, _)| name.as_c_str() == FILE_CAPABILITIES)
    }

    /// These attributes with no such rights but those that `host`, a file there, gives as well.
    pub fn with_rights_of(&self, host: Option<(&Statx, &Xattrs)>) -> Attributes {
        let mut rest = self.clone();
        let (mode, xattrs) = host.map_or((Mode::empty(), None), |(stat, xattrs)| {
            let same = stat.stx_uid == self.owner.as_raw() && stat.stx_gid == self.group.as_raw();
            let mode = Mode::from_raw_mode(stat.stx_mode.into());
            (if same { mode } else { Mode::empty() }, Some(xattrs))
        });
        rest.mode -= SET_IDS - mode;
        rest.xattrs.retain(|xattr| {
            xattr.0.as_c_str() != FILE_CAPABILITIES
                || xattrs.is_some_and(|host| host.contains(xattr))
        });
        rest
    }

    /// Gives the open file (O_PATH is enough) these attributes and no other; `path` is for
    /// messages.
    ///
    /// Labels of security modules are not touched: the host's policy decides on them.
    pub fn apply(&self, file: &impl AsFd, path: &Path) -> Result<(), Failure> {
        let fail = |action| move |errno: Errno| Failure::new(action, path, errno);
        let target = proc_path(file);
        rustix::fs::chownat(
            file,
            c"",
            Some(self.owner),
            Some(self.group),
            AtFlags::EMPTY_PATH,
        )
        .map_err(fail("set the owner of"))?;
        if !self.symlink {
            // After the owner, because a change of that clears set-user-id.
            rustix::fs::chmod(&target, self.mode).map_err(fail("set the mode of"))?;
        }
        for (name, _) in read_xattrs(&target).map_err(fail("read the attributes of"))? {
            if is_label(&name) || self.xattrs.iter().any(|(wanted, _)| *wanted == name) {
                continue;
            }
            match rustix::fs::removexattr(&target, &name) {
                // What the file system shows but does not store cannot be removed and need not be.
                Ok(()) | Err(Errno::NODATA | Errno::NOTSUP) => {}
                Err(errno) => return Err(fail("remove an attribute of")(errno)),
            }
        }
        // One that the file system cannot hold keeps no other from being set.
        let mut unrepresentable = Ok(());
        for xattr in &self.xattrs {
            match set_xattr(&target, xattr) {
                Err(errno) if fits_nowhere(xattr, errno) => {
                    unrepresentable = Err(fail("set an attribute of")(Errno::TOOBIG));
                }
                result => result.map_err(fail("set an attribute of"))?,
            }
        }
        rustix::fs::utimensat(CWD, &target, &self.times, AtFlags::empty())
            .map_err(fail("set the times of"))?;
        unrepresentable
    }
}

/// Labels of a file that its successor under the same name must inherit.
pub fn labels(file: &impl AsFd) -> Result<Xattrs, Errno> {
    let mut xattrs = read_xattrs(&proc_path(file))?;
    // IMA and EVM hold hashes of the old contents.
    xattrs.retain(|(name, _)| {
        is_label(name) && !matches!(name.to_bytes(), b"security.ima" | b"security.evm")
    });
    Ok(xattrs)
}

/// Gives an open file these labels.
pub fn set_labels(file: &impl AsFd, labels: &Xattrs) -> Result<(), Errno> {
    set_xattrs(&proc_path(file), labels)
}

/// Gives an open file owner, mode, times and extended attributes as they are, but for its owner.
pub fn set_raw(
    file: &impl AsFd,
    stat: &Statx,
    (owner, group): (u32, u32),
    xattrs: &Xattrs,
) -> Result<(), Errno> {
    let times = Timestamps {
        last_access: timespec(&stat.stx_atime),
        last_modification: timespec(&stat.stx_mtime),
    };
    let (owner, group) = (Uid::from_raw(owner), Gid::from_raw(group));
    rustix::fs::fchown(file, Some(owner), Some(group))?;
    rustix::fs::fchmod(file, Mode::from_raw_mode(stat.stx_mode.into()))?;
    set_xattrs(&proc_path(file), xattrs)?;
    rustix::fs::futimens(file, &times)
}

/// All extended attributes of an open file (O_PATH is enough).
pub fn xattrs_of(file: &impl AsFd) -> Result<Xattrs, Errno> {
    read_xattrs(&proc_path(file))
}

/// Attributes that belong to security modules, all of `security.` but file capabilities.
fn is_label(name: &CStr) -> bool {
    name.to_bytes().starts_with(b"security.") && name != FILE_CAPABILITIES
}

/// A path that leads to the open file itself, be it a symbolic link or opened with O_PATH.
fn proc_path(file: &impl AsFd) -> String {
    format!("/proc/self/fd/{}", file.as_fd().as_raw_fd())
}

fn set_xattrs(path: &str, xattrs: &Xattrs) -> Result<(), Errno> {
    xattrs.iter().try_for_each(|xattr| set_xattr(path, xattr))
}

fn set_xattr(path: &str, (name, value): &(CString, Vec<u8>)) -> Result<(), Errno> {
    rustix::fs::setxattr(path, name, value, XattrFlags::empty())
}

/// Whether an attribute is refused because of what it is. Some file systems have a block for all
/// attributes of a file, and say that there is no space left when that is full.
fn fits_nowhere((_, value): &(CString, Vec<u8>), errno: Errno) -> bool {
    const SURELY_FITS: usize = 512;
    matches!(errno, Errno::TOOBIG | Errno::RANGE | Errno::OPNOTSUPP)
        || errno == Errno::NOSPC && value.len() > SURELY_FITS
}

fn read_xattrs(path: &str) -> Result<Xattrs, Errno> {
    let size = match rustix::fs::listxattr_query(path) {
        Ok(size) => size,
        Err(Errno::NOTSUP) => 0,
        Err(errno) => return Err(errno),
    };
    if size == 0 {
        return Ok(Xattrs::new());
    }
    let mut list = vec![0u8; size];
    let filled = rustix::fs::listxattr(path, &mut list[..])?;
    list.truncate(filled);
    let mut xattrs = Xattrs::new();
    for name in list
        .split(|&byte| byte == 0)
        .filter(|name| !name.is_empty())
    {
        let Ok(name) = CString::new(name) else {
            continue;
        };
        let size = match rustix::fs::getxattr_query(path, &name) {
            Ok(size) => size,
            // Listed but not readable: nothing that could be copied.
            Err(Errno::NODATA | Errno::NOTSUP) => continue,
            Err(errno) => return Err(errno),
        };
        let mut value = vec![0u8; size];
        if size > 0 {
            let filled = rustix::fs::getxattr(path, &name, &mut value[..])?;
            value.truncate(filled);
        }
        xattrs.push((name, value));
    }
    Ok(xattrs)
}

fn timespec(time: &StatxTimestamp) -> Timespec {
    Timespec {
        tv_sec: time.tv_sec,
        tv_nsec: time.tv_nsec.into(),
    }
}
