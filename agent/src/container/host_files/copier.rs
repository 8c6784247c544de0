//! Makes a copy equal to what the host has: what differs is replaced, what is gone is removed.

use std::{
    collections::BTreeSet,
    ffi::OsStr,
    fs::{self, File, Permissions},
    io::{self, Read as _, Write as _},
    os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _, symlink},
    path::{Component, Path, PathBuf},
};

use super::error::HostFilesError;
use crate::host::open_to_all::{Right, is_open_to_all};

/// How many symbolic links a way may have, as in the kernel (path_resolution(7)).
const MAX_LINKS: usize = 40;
/// How deep directories are copied.
const MAX_DEPTH: usize = 16;
/// The largest file that is copied.
const MAX_FILE: u64 = 8 << 20;
/// How much is copied in all, in bytes and in files: it is in memory.
const MAX_BYTES: u64 = 32 << 20;
const MAX_FILES: u64 = 16384;

/// What a path of the host is to be in the copy.
#[derive(Debug, PartialEq, Eq)]
enum Wanted {
    Nothing,
    /// A symbolic link to what containers see.
    Link(PathBuf),
    /// What this directory holds.
    Directory(PathBuf),
    File(Vec<u8>),
}

/// Copies files of the host.
pub(super) struct Copier<'a> {
    /// Where a file is written before it takes its place.
    partial: PathBuf,
    is_seen: &'a dyn Fn(&Path) -> bool,
    look: &'a dyn Fn(&Path, Option<&OsStr>),
    bytes: u64,
    files: u64,
}

impl<'a> Copier<'a> {
    /// Uses `directory` for what is not whole yet. `is_seen` tells which of the host's paths
    /// containers see anyway. `look` is called with each directory that matters, before it is read:
    /// with a name, only that matters in it.
    pub fn new(
        directory: &Path,
        is_seen: &'a dyn Fn(&Path) -> bool,
        look: &'a dyn Fn(&Path, Option<&OsStr>),
    ) -> Self {
        Self {
            partial: directory.join("partial"),
            is_seen,
            look,
            bytes: 0,
            files: 0,
        }
    }

    /// Makes `own` as the host's `host` is; what not all users may read is left out.
    ///
    /// # Errors
    /// [`HostFilesError`]; what comes before is copied.
    pub fn copy(&mut self, host: &Path, own: &Path) -> Result<(), HostFilesError> {
        if let Some(parent) = own.parent() {
            make_directory(parent).map_err(write_error(parent))?;
        }
        self.copy_at(host, own, MAX_DEPTH)
    }

    fn copy_at(&mut self, host: &Path, own: &Path, depth: usize) -> Result<(), HostFilesError> {
        self.files += 1;
        if depth == 0 || self.files > MAX_FILES {
            return Err(too_much(host, MAX_FILES));
        }
        match self.wanted(host)? {
            Wanted::Nothing => remove(own).map_err(write_error(own)),
            Wanted::Link(target) => self.link(own, &target).map_err(write_error(own)),
            Wanted::File(content) => self.write(own, &content),
            Wanted::Directory(from) => {
                make_directory(own).map_err(write_error(own))?;
                self.copy_directory(&from, own, depth)
            }
        }
    }

    fn copy_directory(
        &mut self,
        host: &Path,
        own: &Path,
        depth: usize,
    ) -> Result<(), HostFilesError> {
        (self.look)(host, None);
        let names = names(host).map_err(read_error(host))?;
        for gone in self::names(own)
            .map_err(write_error(own))?
            .difference(&names)
        {
            let gone = own.join(gone);
            remove(&gone).map_err(write_error(&gone))?;
        }
        for name in &names {
            self.copy_at(&host.join(name), &own.join(name), depth - 1)?;
        }
        Ok(())
    }

    fn wanted(&mut self, host: &Path) -> Result<Wanted, HostFilesError> {
        let mut at = host.to_owned();
        for _ in 0..MAX_LINKS {
            self.look_at_name(&at);
            let metadata = match fs::symlink_metadata(&at) {
                Err(e) if is_absence(&e) => return Ok(Wanted::Nothing),
                metadata => metadata.map_err(read_error(&at))?,
            };
            if metadata.is_symlink() {
                let target = target(&at).map_err(read_error(&at))?;
                if (self.is_seen)(&target) {
                    return Ok(Wanted::Link(target));
                }
                at = target;
            } else if metadata.is_dir() {
                let may = is_open_to_all(&at, Right::ListAndEnter);
                return Ok(if may {
                    Wanted::Directory(at)
                } else {
                    Wanted::Nothing
                });
            } else if metadata.is_file() && is_open_to_all(&at, Right::Read) {
                return self.content(&at).map(Wanted::File);
            } else {
                return Ok(Wanted::Nothing);
            }
        }
        Ok(Wanted::Nothing)
    }

    fn content(&mut self, file: &Path) -> Result<Vec<u8>, HostFilesError> {
        let content = read(file).map_err(read_error(file))?;
        let length = u64::try_from(content.len()).unwrap_or(u64::MAX);
        self.bytes = self.bytes.saturating_add(length);
        if length > MAX_FILE || self.bytes > MAX_BYTES {
            return Err(too_much(file, MAX_BYTES));
        }
        Ok(content)
    }

    /// Sees to it that changes of a file are noticed, on all of its way.
    pub fn look(&self, file: &Path) {
        let mut at = file.to_owned();
        for _ in 0..MAX_LINKS {
            self.look_at_name(&at);
            match target(&at) {
                Ok(target) => at = target,
                Err(_) => return,
            }
        }
    }

    fn look_at_name(&self, path: &Path) {
        if let (Some(directory), Some(name)) = (path.parent(), path.file_name()) {
            (self.look)(directory, Some(name));
        }
    }

    /// The text of a file of the host whose changes matter.
    pub fn read(&self, file: &Path) -> Option<String> {
        self.look(file);
        let content = read(file).ok()?;
        Some(String::from_utf8_lossy(&content).into_owned())
    }

    /// Makes `own` a file with `content`, in one step, unless it is that.
    ///
    /// # Errors
    /// [`HostFilesError::Write`].
    pub fn write(&self, own: &Path, content: &[u8]) -> Result<(), HostFilesError> {
        self.replace_by_file(own, content).map_err(write_error(own))
    }

    fn replace_by_file(&self, own: &Path, content: &[u8]) -> io::Result<()> {
        let is_file = fs::symlink_metadata(own).is_ok_and(|it| it.is_file());
        if is_file && read(own).is_ok_and(|now| now == content) {
            return Ok(());
        }
        remove(&self.partial)?;
        let mut file = File::options()
            .write(true)
            .create_new(true)
            .mode(0o644)
            .open(&self.partial)?;
        file.write_all(content)?;
        file.set_permissions(Permissions::from_mode(0o644))?;
        self.put(own)
    }

    fn link(&self, own: &Path, target: &Path) -> io::Result<()> {
        if fs::read_link(own).is_ok_and(|now| now == target) {
            return Ok(());
        }
        remove(&self.partial)?;
        symlink(target, &self.partial)?;
        self.put(own)
    }

    fn put(&self, own: &Path) -> io::Result<()> {
        // A file cannot take the place of a directory.
        if fs::symlink_metadata(own).is_ok_and(|it| it.is_dir()) {
            fs::remove_dir_all(own)?;
        }
        fs::rename(&self.partial, own)
    }
}

/// Where a symbolic link leads: an absolute path without `..`, one step only.
fn target(link: &Path) -> io::Result<PathBuf> {
    let target = fs::read_link(link)?;
    // Without symbolic links, so that what follows `..` is what the kernel takes it for.
    let mut path = fs::canonicalize(link.parent().unwrap_or(Path::new("/")))?;
    for component in target.components() {
        match component {
            Component::ParentDir => drop(path.pop()),
            Component::CurDir | Component::Prefix(_) => {}
            other => path.push(other),
        }
    }
    Ok(path)
}

fn names(directory: &Path) -> io::Result<BTreeSet<std::ffi::OsString>> {
    fs::read_dir(directory)?
        .map(|entry| Ok(entry?.file_name()))
        .collect()
}

/// The content of a file, as far as it is copied, and a byte more.
fn read(file: &Path) -> io::Result<Vec<u8>> {
    let mut content = Vec::new();
    // What is no file after all must not keep the agent waiting.
    File::options()
        .read(true)
        .custom_flags(libc::O_NONBLOCK)
        .open(file)?
        .take(MAX_FILE + 1)
        .read_to_end(&mut content)?;
    Ok(content)
}

fn make_directory(own: &Path) -> io::Result<()> {
    if !fs::symlink_metadata(own).is_ok_and(|it| it.is_dir()) {
        remove(own)?;
        fs::create_dir(own)?;
        fs::set_permissions(own, Permissions::from_mode(0o755))?;
    }
    Ok(())
}

fn remove(own: &Path) -> io::Result<()> {
    let removed = match fs::symlink_metadata(own) {
        Ok(metadata) if metadata.is_dir() => fs::remove_dir_all(own),
        Ok(_) => fs::remove_file(own),
        Err(error) => Err(error),
    };
    removed.or_else(|error| {
        if is_absence(&error) {
            Ok(())
        } else {
            Err(error)
        }
    })
}

/// Whether a path is not there; it may also vanish while it is looked at.
fn is_absence(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
    )
}

fn read_error(path: &Path) -> impl Fn(io::Error) -> HostFilesError {
    move |source| HostFilesError::Read {
        path: path.to_owned(),
        source,
    }
}

fn write_error(path: &Path) -> impl Fn(io::Error) -> HostFilesError {
    move |source| HostFilesError::Write {
        path: path.to_owned(),
        source,
    }
}

fn too_much(path: &Path, limit: u64) -> HostFilesError {
    HostFilesError::TooMuch {
        path: path.to_owned(),
        limit,
    }
}

#[cfg(test)]
mod tests;
