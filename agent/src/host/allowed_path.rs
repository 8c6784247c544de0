//! Host paths that apps may be given, by the agent's configuration.

use std::{
    fmt, fs, io,
    os::fd::{AsRawFd as _, OwnedFd},
    path::{Path, PathBuf},
};

use super::walk::{self, WalkError, WritableDirectories};

/// A host path that apps may not be given, or that cannot be looked at.
#[derive(Debug)]
#[non_exhaustive]
pub enum AllowedPathError {
    /// It is empty, which would otherwise stand for the agent's working directory.
    Empty,
    /// It leads to a place under none of the configured paths.
    NotAllowed {
        /// The path as it was asked for.
        path: PathBuf,
        /// Where it leads.
        real: PathBuf,
    },
    /// A symbolic link that an app may have made leads to what that app does not have.
    Link {
        /// The path.
        path: PathBuf,
    },
    /// Apps would write to what the agent keeps for itself.
    Own {
        /// The path.
        path: PathBuf,
        /// The agent's directory.
        own: PathBuf,
    },
    /// It could not be opened.
    Open {
        /// The path.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

impl fmt::Display for AllowedPathError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("the host path is empty"),
            Self::NotAllowed { path, real } => {
                write!(f, "host path {}", path.display())?;
                if path != real {
                    write!(f, " leads to {}, which", real.display())?;
                }
                f.write_str(" is under none of allowed-host-paths of the agent's configuration")
            }
            Self::Link { path } => write!(
                f,
                "host path {}: a symbolic link that an app may have made leads out of what the app can write to",
                path.display()
            ),
            Self::Own { path, own } => write!(
                f,
                "host path {} can only be given read-only: the agent keeps containers in {}",
                path.display(),
                own.display()
            ),
            Self::Open { path, source } => {
                write!(f, "cannot open host path {}: {source}", path.display())
            }
        }
    }
}

impl std::error::Error for AllowedPathError {}

/// A host path that was checked. It stays the same file, whatever happens to its name.
#[derive(Debug)]
pub struct AllowedPath {
    file: OwnedFd,
    real: PathBuf,
}

impl AllowedPath {
    /// Checks where `path` leads, symbolic links followed: but not those of apps out of what they
    /// have.
    ///
    /// # Errors
    /// [`AllowedPathError`].
    pub fn check(
        path: &Path,
        allowed: &[PathBuf],
        writable: &WritableDirectories,
    ) -> Result<Self, AllowedPathError> {
        if path.as_os_str().is_empty() {
            return Err(AllowedPathError::Empty);
        }
        let failed = |source| AllowedPathError::Open {
            path: path.to_owned(),
            source,
        };
        let file = walk::open(path, writable).map_err(|error| match error {
            WalkError::Link => AllowedPathError::Link {
                path: path.to_owned(),
            },
            WalkError::System(source) => failed(source),
        })?;
        let real = walk::real_path(&file).map_err(failed)?;
        let is_under = |prefix: &PathBuf| {
            // A prefix that does not exist allows nothing.
            fs::canonicalize(prefix).is_ok_and(|prefix| real.starts_with(prefix))
        };
        if !allowed.iter().any(is_under) {
            return Err(AllowedPathError::NotAllowed {
                path: path.to_owned(),
                real,
            });
        }
        Ok(Self { file, real })
    }

    /// Checks that an app that can write there can write to none of the agent's `own` directories.
    ///
    /// # Errors
    /// [`AllowedPathError::Own`].
    pub fn check_writable(&self, own: &[PathBuf]) -> Result<(), AllowedPathError> {
        let met = |own: &&PathBuf| own.starts_with(&self.real) || self.real.starts_with(own);
        match own.iter().find(met) {
            None => Ok(()),
            Some(own) => Err(AllowedPathError::Own {
                path: self.real.clone(),
                own: own.clone(),
            }),
        }
    }

    /// A path that leads to the very file that was checked, for as long as this lives and in this
    /// process only.
    pub fn stable(&self) -> PathBuf {
        PathBuf::from(format!("/proc/self/fd/{}", self.file.as_raw_fd()))
    }

    /// Its name without symbolic links.
    pub fn name(&self) -> &Path {
        &self.real
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_counts_by_where_it_leads() {
        let dir = tempfile::TempDir::new().unwrap();
        let (inside, outside) = (dir.path().join("in"), dir.path().join("out"));
        fs::create_dir(&inside).unwrap();
        fs::create_dir(&outside).unwrap();
        std::os::unix::fs::symlink(&outside, inside.join("link")).unwrap();
        std::os::unix::fs::symlink(&inside, outside.join("back")).unwrap();
        let allowed = [dir.path().join("absent"), inside.clone()];
        let writable = WritableDirectories::default();
        let check = |path: PathBuf| AllowedPath::check(&path, &allowed, &writable);
        assert!(check(inside.clone()).is_ok());
        assert!(check(outside.join("back")).is_ok());
        for path in [
            outside.clone(),
            inside.join("link"),
            inside.join("../out"),
            dir.path().join("in2"),
        ] {
            let error = check(path.clone()).unwrap_err().to_string();
            assert!(
                error.contains(path.to_str().unwrap()),
                "{error} does not name {path:?}"
            );
        }
        assert!(AllowedPath::check(&outside, &["/".into()], &writable).is_ok());
    }

    #[test]
    fn a_checked_file_stays_the_same_when_its_name_is_swapped() {
        let dir = tempfile::TempDir::new().unwrap();
        let (file, other) = (dir.path().join("f"), dir.path().join("other"));
        fs::write(&file, "good").unwrap();
        fs::write(&other, "bad").unwrap();
        let writable = WritableDirectories::default();
        let checked = AllowedPath::check(&file, &[dir.path().to_owned()], &writable).unwrap();
        fs::rename(&other, &file).unwrap();
        assert_eq!(fs::read(checked.stable()).unwrap(), b"good");
    }
    #[test]
    fn what_the_agent_keeps_for_itself_is_written_to_by_no_app() {
        let dir = tempfile::TempDir::new().unwrap();
        let own = dir.path().join("run/containers");
        fs::create_dir_all(own.join("SC-0")).unwrap();
        fs::create_dir(dir.path().join("run/containers2")).unwrap();
        let writable = WritableDirectories::default();
        let own = [own.canonicalize().unwrap()];
        let check = |name: &str| {
            let path = dir.path().join(name);
            let checked = AllowedPath::check(&path, &["/".into()], &writable).unwrap();
            checked.check_writable(&own)
        };
        check("run/containers2").unwrap();
        for name in ["", "run", "run/containers", "run/containers/SC-0"] {
            check(name).unwrap_err();
        }
    }
}
