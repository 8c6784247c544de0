//! Whether every user of the host may look at a file: what such files hold is no secret, and
//! nothing else may be told to others.

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path};

/// What every user may do, as bits of a mode (inode(7)).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Right {
    /// Read a file.
    Read,
    /// List a directory and go through it.
    ListAndEnter,
    /// Execute a file, or go through a directory.
    Execute,
}

impl Right {
    fn bits(self) -> u32 {
        match self {
            Self::Read => 0o4,
            Self::ListAndEnter => 0o5,
            Self::Execute => 0o1,
        }
    }
}

/// Whether every user has `right` at an absolute path, whose symbolic links are followed.
pub fn is_open_to_all(path: &Path, right: Right) -> bool {
    // By its real path: the directories on the way are those of the symbolic links' targets.
    let Ok(real) = fs::canonicalize(path) else {
        return false;
    };
    let may = |path: &Path, right: Right| {
        fs::metadata(path).is_ok_and(|it| it.permissions().mode() & right.bits() == right.bits())
    };
    may(&real, right) && real.ancestors().skip(1).all(|it| may(it, Right::Execute))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{fs::Permissions, os::unix::fs::symlink};

    #[test]
    fn a_closed_directory_closes_what_is_in_it_also_through_links() {
        let dir = tempfile::TempDir::new().unwrap();
        let inner = dir.path().join("inner");
        fs::create_dir(&inner).unwrap();
        let (file, link) = (inner.join("file"), dir.path().join("link"));
        fs::write(&file, "").unwrap();
        symlink("inner/file", &link).unwrap();
        let set = |path: &Path, mode| {
            fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
        };
        set(dir.path(), 0o755);
        set(&file, 0o644);
        for (mode, open) in [(0o755, true), (0o711, true), (0o750, false), (0o754, false)] {
            set(&inner, mode);
            assert_eq!(is_open_to_all(&file, Right::Read), open, "{mode:o}");
            assert_eq!(is_open_to_all(&link, Right::Read), open, "{mode:o}");
        }
        set(&inner, 0o711);
        assert!(!is_open_to_all(&inner, Right::ListAndEnter));
        assert!(!is_open_to_all(&file, Right::Execute));
        set(&file, 0o640);
        assert!(!is_open_to_all(&link, Right::Read));
        assert!(!is_open_to_all(&dir.path().join("none"), Right::Read));
    }
}
