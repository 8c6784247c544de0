//! The way to an output file, one directory after the other.

use std::{
    collections::{BTreeSet, VecDeque},
    ffi::OsString,
    fs, io,
    os::{
        fd::{AsRawFd as _, OwnedFd},
        unix::ffi::OsStringExt as _,
    },
    path::{Component, Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
};

use rustix::{
    fs::{CWD, Mode, OFlags, readlinkat},
    io::Errno,
};

use super::Reason;

/// How many symbolic links a way may have, as in the kernel (path_resolution(7)).
const MAX_LINKS: usize = 40;

/// From how many directories on those that are gone are forgotten.
const REMEMBERED: usize = 1024;

/// The host directories that apps can write to, or could: what they made there stays when their container goes.
///
/// An app can make symbolic links there that look like root's on the host.
#[derive(Debug, Default)]
pub struct WritableDirectories(Mutex<BTreeSet<PathBuf>>);

impl WritableDirectories {
    fn all(&self) -> MutexGuard<'_, BTreeSet<PathBuf>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A container gets the directory.
    pub fn add(&self, directory: &Path) {
        let real = fs::canonicalize(directory).unwrap_or_else(|_| directory.to_owned());
        let mut all = self.all();
        if all.len() >= REMEMBERED {
            all.retain(|directory| directory.exists());
        }
        all.insert(real);
    }

    /// Whether a directory, named without symbolic links, is one of them or below one.
    fn hold(&self, directory: &Path) -> bool {
        let all = self.all();
        directory.ancestors().any(|it| all.contains(it))
    }
}

/// Opens the directory that holds `path`.
pub(super) fn parent_of(path: &Path, writable: &WritableDirectories) -> Result<OwnedFd, Reason> {
    let mut rest: VecDeque<OsString> = path.parent().map(names).unwrap_or_default();
    let start = if path.is_absolute() { "/" } else { "." };
    let mut at = open(CWD, Path::new(start), OFlags::DIRECTORY)?;
    let mut links = 0;
    while let Some(name) = rest.pop_front() {
        let next = open(&at, Path::new(&name), OFlags::NOFOLLOW)?;
        let kind = rustix::fs::fstat(&next).map_err(system)?.st_mode;
        if !rustix::fs::FileType::from_raw_mode(kind).is_symlink() {
            at = next;
            continue;
        }
        let here =
            fs::read_link(format!("/proc/self/fd/{}", at.as_raw_fd())).map_err(Reason::System)?;
        links += 1;
        if links > MAX_LINKS || writable.hold(&here) {
            return Err(Reason::Link);
        }
        let target = readlinkat(&next, c"", Vec::new()).map_err(system)?;
        let target = PathBuf::from(OsString::from_vec(target.into_bytes()));
        if target.is_absolute() {
            at = open(CWD, Path::new("/"), OFlags::DIRECTORY)?;
        }
        for name in names(&target).into_iter().rev() {
            rest.push_front(name);
        }
    }
    Ok(at)
}

/// The components to walk; `..` among them, as the kernel walks it.
fn names(path: &Path) -> VecDeque<OsString> {
    path.components()
        .filter_map(|component| match component {
            Component::Normal(name) => Some(name.to_owned()),
            Component::ParentDir => Some("..".into()),
            _ => None,
        })
        .collect()
}

fn open(at: impl std::os::fd::AsFd, name: &Path, more: OFlags) -> Result<OwnedFd, Reason> {
    let flags = OFlags::PATH | OFlags::CLOEXEC | more;
    rustix::fs::openat(at, name, flags, Mode::empty()).map_err(system)
}

fn system(errno: Errno) -> Reason {
    Reason::System(io::Error::from(errno))
}
