//! Directories held open: every step is one name beneath one of them.

use std::{
    ffi::{CStr, CString, OsStr},
    os::{
        fd::{AsFd, BorrowedFd, OwnedFd},
        unix::ffi::OsStrExt,
    },
    path::{Path, PathBuf},
};

use rustix::{
    fs::{AtFlags, FileType, Mode, OFlags, ResolveFlags, Statx, StatxFlags},
    io::Errno,
};

use crate::error::Failure;

/// Deepest nesting that is followed. Each level holds two descriptors; without a limit an app could
/// use up the agent's by nesting directories.
pub const MAX_DEPTH: usize = 128;

/// An open directory and its path, which serves messages only.
pub struct Dir {
    fd: OwnedFd,
    path: PathBuf,
}

impl Dir {
    /// Wraps an open directory.
    pub fn new(fd: OwnedFd, path: impl Into<PathBuf>) -> Dir {
        Dir {
            fd,
            path: path.into(),
        }
    }

    /// Opens a directory by a path that the host's administrator chose.
    pub fn open(path: &Path) -> Result<Dir, Failure> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        match rustix::fs::open(path, flags, Mode::empty()) {
            Ok(fd) => Ok(Dir::new(fd, path)),
            Err(errno) => Err(Failure::new("open", path, errno)),
        }
    }

    /// Another descriptor of it.
    pub fn duplicate(&self) -> Result<Dir, Failure> {
        match self.fd.try_clone() {
            Ok(fd) => Ok(Dir::new(fd, self.path.clone())),
            Err(error) => Err(Failure::new("open", &self.path, error)),
        }
    }

    /// Path of `name` in this directory, for messages.
    pub fn path_of(&self, name: &CStr) -> PathBuf {
        self.path.join(OsStr::from_bytes(name.to_bytes()))
    }

    /// The directory's own path, for messages.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A failure on `name`.
    pub fn failure(&self, action: &'static str, name: &CStr, errno: Errno) -> Failure {
        Failure::new(action, self.path_of(name), errno)
    }

    /// Opens `name`, which must be no symbolic link and lie in this very directory (openat2(2)).
    pub fn open_file(&self, name: &CStr, flags: OFlags, mode: Mode) -> Result<OwnedFd, Failure> {
        // One name without a slash needs no more than O_NOFOLLOW; openat2 makes that a matter of
        // the kernel's checks and not of ours.
        let resolve =
            ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
        let flags = flags | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        rustix::fs::openat2(&self.fd, name, flags, mode, resolve)
            .map_err(|errno| self.failure("open", name, errno))
    }

    /// Opens the directory `name`.
    pub fn open_dir(&self, name: &CStr) -> Result<Dir, Failure> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY;
        let fd = self.open_file(name, flags, Mode::empty())?;
        Ok(Dir::new(fd, self.path_of(name)))
    }

    /// Attributes of `name`, of a symbolic link itself; `None` if there is none.
    pub fn stat(&self, name: &CStr) -> Result<Option<Statx>, Failure> {
        match rustix::fs::statx(
            &self.fd,
            name,
            AtFlags::SYMLINK_NOFOLLOW,
            StatxFlags::BASIC_STATS,
        ) {
            Ok(stat) => Ok(Some(stat)),
            Err(Errno::NOENT) => Ok(None),
            Err(errno) => Err(self.failure("examine", name, errno)),
        }
    }

    /// Opens the directory at a relative path beneath this one, through no symbolic link.
    pub fn open_beneath(&self, path: &Path) -> Result<Dir, Failure> {
        let resolve =
            ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let path = if path.as_os_str().is_empty() {
            Path::new(".")
        } else {
            path
        };
        match rustix::fs::openat2(&self.fd, path, flags, Mode::empty(), resolve) {
            Ok(fd) => Ok(Dir::new(fd, self.path.join(path))),
            Err(errno) => Err(Failure::new("open", self.path.join(path), errno)),
        }
    }

    /// Opens `name` itself, a symbolic link too, for its attributes only.
    pub fn open_node(&self, name: &CStr) -> Result<OwnedFd, Failure> {
        rustix::fs::openat(
            &self.fd,
            name,
            OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC,
            Mode::empty(),
        )
        .map_err(|errno| self.failure("open", name, errno))
    }

    /// Names in this directory, without `.` and `..`, in byte order.
    pub fn names(&self) -> Result<Vec<CString>, Failure> {
        let fail = |errno| Failure::new("read directory", &self.path, errno);
        let mut names = Vec::new();
        for entry in rustix::fs::Dir::read_from(&self.fd).map_err(fail)? {
            let entry = entry.map_err(fail)?;
            if !matches!(entry.file_name().to_bytes(), b"." | b"..") {
                names.push(entry.file_name().to_owned());
            }
        }
        names.sort();
        Ok(names)
    }
}

impl AsFd for Dir {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// Type of a file from its attributes.
pub fn file_type(stat: &Statx) -> FileType {
    FileType::from_raw_mode(stat.stx_mode.into())
}

/// Whether the attributes are those of a directory.
pub fn is_dir(stat: &Statx) -> bool {
    file_type(stat) == FileType::Directory
}

/// Attributes of an open file.
pub fn stat_of(file: &impl AsFd) -> Result<Statx, Errno> {
    rustix::fs::statx(file, c"", AtFlags::EMPTY_PATH, StatxFlags::BASIC_STATS)
}
