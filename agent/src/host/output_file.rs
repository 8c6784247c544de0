//! The host file that a process in a container writes its output to.

use std::{
    fmt, io,
    os::fd::OwnedFd,
    path::{Path, PathBuf},
};

use rustix::fs::{CWD, FileType, Mode, OFlags};

/// An output file that cannot be used.
#[derive(Debug)]
pub struct OutputFileError {
    path: PathBuf,
    reason: Reason,
}

#[derive(Debug)]
enum Reason {
    System(io::Error),
    NoReader,
    Kind,
}

impl fmt::Display for OutputFileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot use output file {}: ", self.path.display())?;
        match &self.reason {
            Reason::System(error) => error.fmt(f),
            Reason::NoReader => f.write_str("it is a FIFO that nobody reads"),
            Reason::Kind => f.write_str("it is neither a regular file nor a FIFO"),
        }
    }
}

impl std::error::Error for OutputFileError {}

/// Opens `path` for writing: a regular file, created with mode 0644 or truncated, or a FIFO that has a reader. An empty path is `/dev/null`.
///
/// The last component may not be a symbolic link, and a device is refused without touching it.
///
/// # Errors
/// [`OutputFileError`] naming the path.
pub fn open(path: &Path) -> Result<OwnedFd, OutputFileError> {
    let error = |reason| OutputFileError {
        path: path.to_owned(),
        reason,
    };
    let system = |errno: rustix::io::Errno| error(Reason::System(errno.into()));
    if path.as_os_str().is_empty() {
        let flags = OFlags::WRONLY | OFlags::CLOEXEC;
        return rustix::fs::openat(CWD, "/dev/null", flags, Mode::empty()).map_err(system);
    }
    // Without NONBLOCK a FIFO that nobody reads would hold up the caller.
    let flags = OFlags::WRONLY
        | OFlags::CREATE
        | OFlags::NOFOLLOW
        | OFlags::NOCTTY
        | OFlags::NONBLOCK
        | OFlags::CLOEXEC;
    let file = match rustix::fs::openat(CWD, path, flags, Mode::from_raw_mode(0o644)) {
        Err(rustix::io::Errno::NXIO) => return Err(error(Reason::NoReader)),
        result => result.map_err(system)?,
    };
    let kind = FileType::from_raw_mode(rustix::fs::fstat(&file).map_err(system)?.st_mode);
    match kind {
        FileType::RegularFile => rustix::fs::ftruncate(&file, 0).map_err(system)?,
        FileType::Fifo => {}
        _ => return Err(error(Reason::Kind)),
    }
    rustix::fs::fcntl_setfl(&file, OFlags::empty()).map_err(system)?;
    Ok(file)
}
