//! Host paths that apps may be given, by the agent's configuration.

use std::{
    fmt, fs, io,
    os::fd::{AsRawFd as _, OwnedFd},
    path::{Path, PathBuf},
};

use rustix::fs::{CWD, Mode, OFlags};

/// A host path that apps may not be given, or that cannot be looked at.
#[derive(Debug)]
#[non_exhaustive]
pub enum AllowedPathError {
    /// It leads to a place under none of the configured paths.
    NotAllowed {
        /// The path as it was asked for.
        path: PathBuf,
        /// Where it leads.
        real: PathBuf,
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
            Self::NotAllowed { path, real } => {
                write!(f, "host path {}", path.display())?;
                if path != real {
                    write!(f, " leads to {}, which", real.display())?;
                }
                f.write_str(" is under none of allowed-host-paths of the agent's configuration")
            }
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
    file: Option<OwnedFd>,
    real: PathBuf,
}

impl AllowedPath {
    /// Checks where `path` leads, symbolic links followed.
    ///
    /// # Errors
    /// [`AllowedPathError`].
    pub fn check(path: &Path, allowed: &[PathBuf]) -> Result<Self, AllowedPathError> {
        if allowed.iter().any(|prefix| prefix == Path::new("/")) {
            return Ok(Self {
                file: None,
                real: path.to_owned(),
            });
        }
        let failed = |source| AllowedPathError::Open {
            path: path.to_owned(),
            source,
        };
        let flags = OFlags::PATH | OFlags::CLOEXEC;
        let file =
            rustix::fs::openat(CWD, path, flags, Mode::empty()).map_err(|e| failed(e.into()))?;
        let real = fs::read_link(descriptor(&file)).map_err(failed)?;
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
        Ok(Self {
            file: Some(file),
            real,
        })
    }

    /// A path that leads to the very file that was checked, for as long as this lives and in this process only.
    pub fn stable(&self) -> PathBuf {
        self.file
            .as_ref()
            .map_or_else(|| self.real.clone(), descriptor)
    }

    /// Its name without symbolic links; the name that was asked for if everything is allowed.
    pub fn name(&self) -> &Path {
        &self.real
    }
}

fn descriptor(file: &OwnedFd) -> PathBuf {
    PathBuf::from(format!("/proc/self/fd/{}", file.as_raw_fd()))
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
        let check = |path: PathBuf| AllowedPath::check(&path, &allowed);
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
        assert!(AllowedPath::check(&outside, &["/".into()]).is_ok());
    }

    #[test]
    fn a_checked_file_stays_the_same_when_its_name_is_swapped() {
        let dir = tempfile::TempDir::new().unwrap();
        let (file, other) = (dir.path().join("f"), dir.path().join("other"));
        fs::write(&file, "good").unwrap();
        fs::write(&other, "bad").unwrap();
        let checked = AllowedPath::check(&file, &[dir.path().to_owned()]).unwrap();
        fs::rename(&other, &file).unwrap();
        assert_eq!(fs::read(checked.stable()).unwrap(), b"good");
    }
}
