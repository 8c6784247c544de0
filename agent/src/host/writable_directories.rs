//! The host directories that apps can write to, or could: what they made there stays when their
//! container goes, and when the agent does.

use std::{
    collections::HashMap,
    ffi::OsString,
    fs, io,
    os::{
        fd::{AsFd, AsRawFd as _, BorrowedFd, OwnedFd},
        unix::ffi::{OsStrExt as _, OsStringExt as _},
    },
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use rustix::fs::{Mode, OFlags};

/// From how many directories on those whose names are gone are forgotten.
const REMEMBERED: usize = 1024;
/// The file that they are kept in.
const FILE: &str = ".softwarecontainer-writable";
/// More levels than a path of `PATH_MAX` bytes can have.
const MAX_LEVELS: usize = 2048;

/// What a directory stays under every name and at every mount of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct DirectoryId {
    device: u64,
    inode: u64,
}

/// The host directories that apps can write to, or could.
///
/// An app can make symbolic links there that look like root's on the host. A directory counts by
/// device and inode, whatever it is called now, and by the name that it had: after a restart of the
/// host device numbers may be others.
#[derive(Debug, Default)]
pub struct WritableDirectories {
    all: Mutex<HashMap<DirectoryId, PathBuf>>,
    file: Option<PathBuf>,
}

impl WritableDirectories {
    /// Those that agents have kept in `directory`, where only root can write; others are kept there
    /// as they come.
    ///
    /// # Errors
    /// The file's. Without it nothing is known of what apps could write to.
    pub fn kept_in(directory: &Path) -> io::Result<Self> {
        let file = directory.join(FILE);
        let all = match fs::read(&file) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => HashMap::new(),
            content => content?
                .split(|&byte| byte == 0)
                .filter_map(parse)
                .collect(),
        };
        Ok(Self {
            all: Mutex::new(all),
            file: Some(file),
        })
    }

    /// A container gets the open directory.
    ///
    /// # Errors
    /// The system's, when it cannot be examined.
    pub fn add(&self, directory: impl AsFd) -> io::Result<()> {
        let (id, name) = examine(directory.as_fd())?;
        let mut all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        if all.get(&id) == Some(&name) {
            return Ok(());
        }
        if all.len() >= REMEMBERED {
            all.retain(|_, directory| directory.exists());
        }
        all.insert(id, name.clone());
        let Some(file) = &self.file else {
            return Ok(());
        };
        if let Err(error) = write(file, &all) {
            log::warn!(
                "cannot write {}: after a restart {} is not known to be an app's: {error}",
                file.display(),
                name.display()
            );
        }
        Ok(())
    }

    /// The outermost of them that holds an open directory of the host, or is it.
    ///
    /// # Errors
    /// The system's.
    pub fn holding(&self, directory: BorrowedFd<'_>) -> io::Result<Option<DirectoryId>> {
        let above = ancestors(directory)?;
        let all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        let is_known = |(id, name): &&(DirectoryId, PathBuf)| {
            all.contains_key(id) || all.values().any(|known| known == name)
        };
        Ok(above.iter().rev().find(is_known).map(|(id, _)| *id))
    }
}

/// Whether an open directory is `holder`, or is held by it.
///
/// # Errors
/// The system's.
pub fn is_within(directory: BorrowedFd<'_>, holder: DirectoryId) -> io::Result<bool> {
    Ok(ancestors(directory)?.iter().any(|(id, _)| *id == holder))
}

/// A directory and those above it, each with its name.
fn ancestors(directory: BorrowedFd<'_>) -> io::Result<Vec<(DirectoryId, PathBuf)>> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let mut at: OwnedFd = rustix::fs::openat(directory, c".", flags, Mode::empty())?;
    let mut all = Vec::new();
    for _ in 0..MAX_LEVELS {
        let entry = examine(at.as_fd())?;
        // The root's parent is the root.
        if all.last() == Some(&entry) {
            return Ok(all);
        }
        all.push(entry);
        at = rustix::fs::openat(&at, c"..", flags, Mode::empty())?;
    }
    Err(io::ErrorKind::InvalidFilename.into())
}

fn examine(directory: BorrowedFd<'_>) -> io::Result<(DirectoryId, PathBuf)> {
    let status = rustix::fs::fstat(directory)?;
    let id = DirectoryId {
        device: status.st_dev,
        inode: status.st_ino,
    };
    let name = fs::read_link(format!("/proc/self/fd/{}", directory.as_raw_fd()))?;
    Ok((id, name))
}

/// Device, inode and name, with blanks between.
fn parse(entry: &[u8]) -> Option<(DirectoryId, PathBuf)> {
    let mut parts = entry.splitn(3, |&byte| byte == b' ');
    let mut number = || std::str::from_utf8(parts.next()?).ok()?.parse().ok();
    let id = DirectoryId {
        device: number()?,
        inode: number()?,
    };
    let name = OsString::from_vec(parts.next()?.to_vec());
    Some((id, name.into()))
}

/// In one step, so that an agent that is killed leaves a whole file.
fn write(file: &Path, all: &HashMap<DirectoryId, PathBuf>) -> io::Result<()> {
    let mut content = Vec::new();
    for (id, name) in all {
        content.extend_from_slice(format!("{} {} ", id.device, id.inode).as_bytes());
        content.extend_from_slice(name.as_os_str().as_bytes());
        content.push(0);
    }
    let temporary = file.with_extension("new");
    fs::write(&temporary, content)?;
    fs::rename(&temporary, file)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::fs::CWD;

    fn open(path: &Path) -> OwnedFd {
        let flags = OFlags::PATH | OFlags::CLOEXEC;
        rustix::fs::openat(CWD, path, flags, Mode::empty()).unwrap()
    }

    fn is_known(directories: &WritableDirectories, path: &Path) -> bool {
        directories.holding(open(path).as_fd()).unwrap().is_some()
    }

    #[test]
    fn a_directory_stays_an_apps_under_every_name_and_over_restarts() {
        let dir = tempfile::TempDir::new().unwrap();
        let (app, moved) = (dir.path().join("an\napp"), dir.path().join("moved"));
        fs::create_dir_all(app.join("data")).unwrap();
        let before = WritableDirectories::kept_in(dir.path()).unwrap();
        assert!(!is_known(&before, &app));
        before.add(open(&app)).unwrap();
        fs::rename(&app, &moved).unwrap();
        fs::create_dir(&app).unwrap();
        let after = WritableDirectories::kept_in(dir.path()).unwrap();
        for directories in [&before, &after] {
            assert!(is_known(directories, &moved.join("data")));
            assert!(is_known(directories, &app), "its name counts as well");
            assert!(!is_known(directories, dir.path()));
        }
    }

    #[test]
    fn a_file_that_is_not_ours_is_read_as_far_as_it_makes_sense() {
        let dir = tempfile::TempDir::new().unwrap();
        fs::write(dir.path().join(FILE), b"x\x001 \x001 2 /somewhere\x003 4").unwrap();
        let known = WritableDirectories::kept_in(dir.path()).unwrap();
        assert_eq!(known.all.lock().unwrap().len(), 1);
        fs::remove_file(dir.path().join(FILE)).unwrap();
        fs::create_dir(dir.path().join(FILE)).unwrap();
        WritableDirectories::kept_in(dir.path()).unwrap_err();
    }

    #[test]
    fn the_outermost_holds_what_is_within() {
        let dir = tempfile::TempDir::new().unwrap();
        let (outer, inner) = (dir.path().join("a"), dir.path().join("a/b"));
        fs::create_dir_all(&inner).unwrap();
        let directories = WritableDirectories::default();
        directories.add(open(&inner)).unwrap();
        directories.add(open(&outer)).unwrap();
        let holder = directories.holding(open(&inner).as_fd()).unwrap().unwrap();
        assert!(is_within(open(&outer).as_fd(), holder).unwrap());
        assert!(!is_within(open(dir.path()).as_fd(), holder).unwrap());
        assert_eq!(
            directories.holding(open(Path::new("/")).as_fd()).unwrap(),
            None
        );
    }
}
