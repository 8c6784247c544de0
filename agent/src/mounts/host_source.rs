//! What of the host an app is to be given: a path that was looked up once, and is held as a
//! descriptor from then on.

use std::{
    fs, io,
    os::fd::{AsFd, AsRawFd as _, BorrowedFd, OwnedFd},
    path::{Path, PathBuf},
};

use rustix::fs::{Access, AtFlags, FileType, Mode, OFlags, StatxFlags};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::host::{
    credentials::Credentials,
    walk::{self, WalkError},
    writable_directories::WritableDirectories,
};

/// A host path that apps may not be given, or that cannot be looked at.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum HostSourceError {
    /// It is empty, which would otherwise stand for the agent's working directory.
    #[error("the host path is empty")]
    Empty,
    /// It leads to a place under none of the configured paths.
    #[error(
        "host path {}{} is under none of allowed-host-paths of the agent's configuration",
        path.display(),
        leads_to(path, real)
    )]
    NotAllowed {
        /// The path as it was asked for.
        path: PathBuf,
        /// Where it leads.
        real: PathBuf,
    },
    /// A symbolic link that an app may have made leads to what that app does not have.
    #[error(
        "host path {}: a symbolic link that an app may have made leads out of what the app can \
         write to",
        path.display()
    )]
    Link {
        /// The path.
        path: PathBuf,
    },
    /// Apps would write to what the agent keeps for itself.
    #[error(
        "host path {} can only be given read-only: the agent keeps containers in {}",
        path.display(),
        own.display()
    )]
    Own {
        /// The path.
        path: PathBuf,
        /// The agent's directory.
        own: PathBuf,
    },
    /// The bus does not tell who asks for it.
    #[error("the bus does not tell which user asks for host path {}", path.display())]
    UnknownCaller {
        /// The path.
        path: PathBuf,
    },
    /// The caller could not open it, or not for writing.
    #[error("user {user} has no right to {right} host path {}", path.display())]
    Caller {
        /// The path.
        path: PathBuf,
        /// The caller.
        user: u32,
        /// What the caller cannot do with it.
        right: &'static str,
        /// Why.
        source: io::Error,
    },
    /// It could not be opened.
    #[error("cannot open host path {}", path.display())]
    Open {
        /// The path.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

fn leads_to(path: &Path, real: &Path) -> String {
    if path == real {
        String::new()
    } else {
        format!(" leads to {}, which", real.display())
    }
}

/// What decides on the host paths that apps are given.
#[derive(Debug, Default)]
pub struct HostPaths {
    /// Where they have to lead to: the key `allowed-host-paths`.
    pub allowed: Vec<PathBuf>,
    /// What every launcher may mount read-only, whatever its own rights: `launcher-read-paths`.
    pub launcher_read: Vec<PathBuf>,
    /// What every launcher may mount for writing, whatever its own rights: `launcher-write-paths`.
    pub launcher_write: Vec<PathBuf>,
    /// The directories that the agent keeps for itself, without symbolic links.
    pub own: Vec<PathBuf>,
    /// The directories that apps can write to.
    pub writable: WritableDirectories,
}

/// What tells a file from its successor under the same name: device, inode (which may be used
/// again), time of its making.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    device: (u32, u32),
    inode: u64,
    made: (i64, u32),
}

/// A file or directory of the host. It stays the same one, whatever happens to its name.
#[derive(Debug)]
pub struct HostSource {
    file: OwnedFd,
    name: PathBuf,
    kind: FileType,
    writable: bool,
    owner: Option<(u32, u32)>,
}

impl HostSource {
    /// Looks up `path` with the agent's rights, symbolic links followed: but not those of apps out
    /// of what they have. An app that can write there (`writable`) must not reach what the agent
    /// keeps for itself.
    ///
    /// # Errors
    /// [`HostSourceError`].
    pub fn open(path: &Path, writable: bool, paths: &HostPaths) -> Result<Self, HostSourceError> {
        let mut source = Self::look_up(path, &paths.writable)?;
        source.writable = writable;
        source.checked(path, paths)
    }

    /// [`Self::open`] with the rights of `caller`, who must be able to read it and, if `writable`,
    /// to write to it. What is listed for launchers ([`HostPaths::launcher_read`],
    /// [`HostPaths::launcher_write`]) is there beyond those rights: and what is only listed for
    /// reading comes [read-only](Self::is_writable) then.
    ///
    /// # Errors
    /// [`HostSourceError`].
    pub fn open_for(
        path: &Path,
        writable: bool,
        caller: Option<&Credentials>,
        paths: &HostPaths,
    ) -> Result<Self, HostSourceError> {
        let Some(caller) = caller else {
            return Err(HostSourceError::UnknownCaller {
                path: path.to_owned(),
            });
        };
        if caller.user == 0 {
            return Self::open(path, writable, paths);
        }
        let look_up = || {
            let mut source = Self::look_up(path, &paths.writable)?;
            source.check_rights(path, writable, caller)?;
            source.writable = writable;
            source.owner = Some((caller.user, caller.primary_group()));
            Ok(source)
        };
        let own_rights = caller
            .act(look_up)
            .map_err(|source| HostSourceError::Open {
                path: path.to_owned(),
                source,
            })?;
        let source = match own_rights {
            Ok(source) => source,
            Err(refused) => Self::listed(path, writable, paths, caller).ok_or(refused)?,
        };
        source.checked(path, paths)
    }

    /// What is listed for launchers.
    fn listed(
        path: &Path,
        writable: bool,
        paths: &HostPaths,
        caller: &Credentials,
    ) -> Option<Self> {
        let mut source = Self::look_up(path, &paths.writable).ok()?;
        let may_write = source.is_under(&paths.launcher_write);
        let can_be_read_only = source.kind.is_dir() || source.kind.is_file();
        let may_read = can_be_read_only && source.is_under(&paths.launcher_read);
        if !(may_write || may_read) {
            return None;
        }
        source.writable = writable && may_write;
        if !source.writable {
            source.owner = Some((caller.user, caller.primary_group()));
        }
        if writable && !may_write {
            log::info!(
                "{} is mounted read-only: launcher-read-paths has it, launcher-write-paths has not",
                path.display()
            );
        }
        Some(source)
    }

    fn is_under(&self, prefixes: &[PathBuf]) -> bool {
        // A prefix that does not exist allows nothing.
        let met = |prefix: &PathBuf| {
            fs::canonicalize(prefix).is_ok_and(|prefix| self.name.starts_with(prefix))
        };
        prefixes.iter().any(met)
    }

    fn checked(self, path: &Path, paths: &HostPaths) -> Result<Self, HostSourceError> {
        if !self.is_under(&paths.allowed) {
            return Err(HostSourceError::NotAllowed {
                path: path.to_owned(),
                real: self.name,
            });
        }
        if self.writable {
            self.check_not_own(&paths.own)?;
        }
        Ok(self)
    }

    fn look_up(path: &Path, writable: &WritableDirectories) -> Result<Self, HostSourceError> {
        if path.as_os_str().is_empty() {
            return Err(HostSourceError::Empty);
        }
        let failed = |source| HostSourceError::Open {
            path: path.to_owned(),
            source,
        };
        let file = walk::open(path, writable).map_err(|error| match error {
            WalkError::Link => HostSourceError::Link {
                path: path.to_owned(),
            },
            WalkError::System(source) => failed(source),
        })?;
        let name = walk::real_path(&file).map_err(failed)?;
        let status = rustix::fs::fstat(&file).map_err(|errno| failed(errno.into()))?;
        let kind = FileType::from_raw_mode(status.st_mode);
        Ok(Self {
            file,
            name,
            kind,
            writable: false,
            owner: None,
        })
    }

    /// With another [owner](Self::owner), if one is given.
    #[must_use]
    pub fn owned_by(mut self, owner: Option<(u32, u32)>) -> Self {
        self.owner = owner.or(self.owner);
        self
    }

    /// What is mounted at `point`, in a directory that an app has from `owner`.
    ///
    /// # Errors
    /// [`HostSourceError`].
    pub fn of_mount(point: &Path, owner: Option<(u32, u32)>) -> Result<Self, HostSourceError> {
        let failed = |errno: rustix::io::Errno| HostSourceError::Open {
            path: point.to_owned(),
            source: errno.into(),
        };
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = rustix::fs::open(point, flags, Mode::empty()).map_err(failed)?;
        let status = rustix::fs::fstat(&file).map_err(failed)?;
        Ok(Self {
            file,
            name: point.to_owned(),
            kind: FileType::from_raw_mode(status.st_mode),
            writable: true,
            owner,
        })
    }

    /// Whether users without any right to it may write to it.
    ///
    /// # Errors
    /// From fstat(2).
    pub fn is_open_to_all(&self) -> rustix::io::Result<bool> {
        let mode = rustix::fs::fstat(&self.file)?.st_mode;
        let wanted = if self.kind.is_dir() { 0o003 } else { 0o002 };
        Ok(mode & wanted == wanted)
    }

    /// Whether it is listed for launchers.
    pub fn is_listed(&self, paths: &HostPaths) -> bool {
        self.is_under(&paths.launcher_read) || self.is_under(&paths.launcher_write)
    }

    /// Checks what the calling thread's user may do with it.
    fn check_rights(
        &self,
        path: &Path,
        writable: bool,
        caller: &Credentials,
    ) -> Result<(), HostSourceError> {
        let mut rights = vec![("read", Access::READ_OK)];
        if self.kind.is_dir() {
            rights.push(("enter", Access::EXEC_OK));
        }
        // A read-only mount keeps nobody from writing to a FIFO or calling a socket.
        if writable || !(self.kind.is_dir() || self.kind.is_file()) {
            rights.push(("write to", Access::WRITE_OK));
        }
        let held = format!("/proc/self/fd/{}", self.file.as_raw_fd());
        for (right, access) in rights {
            rustix::fs::access(&held, access).map_err(|errno| HostSourceError::Caller {
                path: path.to_owned(),
                user: caller.user,
                right,
                source: errno.into(),
            })?;
        }
        Ok(())
    }

    fn check_not_own(&self, own: &[PathBuf]) -> Result<(), HostSourceError> {
        let met = |own: &&PathBuf| own.starts_with(&self.name) || self.name.starts_with(own);
        match own.iter().find(met) {
            None => Ok(()),
            Some(own) => Err(HostSourceError::Own {
                path: self.name.clone(),
                own: own.clone(),
            }),
        }
    }

    /// Its name without symbolic links, as it was when it was looked up.
    pub fn name(&self) -> &Path {
        &self.name
    }

    /// The user and the group of the host whose files those of the container's root are there;
    /// others' files belong to nobody in the container. `None`: owners are what they are on the
    /// host, counted from the container's first ID.
    pub fn owner(&self) -> Option<(u32, u32)> {
        self.owner
    }

    /// Whether apps may be let write to it.
    pub fn is_writable(&self) -> bool {
        self.writable
    }

    /// Which file it is.
    ///
    /// # Errors
    /// From statx(2).
    pub fn identity(&self) -> Result<Identity, HostSourceError> {
        let wanted = StatxFlags::BASIC_STATS | StatxFlags::BTIME;
        let stat = rustix::fs::statx(&self.file, c"", AtFlags::EMPTY_PATH, wanted);
        let stat = stat.map_err(|errno| HostSourceError::Open {
            path: self.name.clone(),
            source: errno.into(),
        })?;
        Ok(Identity {
            device: (stat.stx_dev_major, stat.stx_dev_minor),
            inode: stat.stx_ino,
            made: (stat.stx_btime.tv_sec, stat.stx_btime.tv_nsec),
        })
    }

    /// What kind of file it is.
    pub fn kind(&self) -> FileType {
        self.kind
    }
}

impl AsFd for HostSource {
    /// Its descriptor (O_PATH).
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

#[cfg(test)]
#[path = "host_source/tests.rs"]
mod tests;
