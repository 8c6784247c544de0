//! Whether the host has a program that a container may lack.

use std::path::{Path, PathBuf};

use super::open_to_all::{Right, is_open_to_all};

/// The host's file of a program, which is an absolute path, or a name to be looked up in the
/// directories of `path`.
///
/// Only what every user of the host can get at is found, so that nobody learns from this what is in
/// directories that are closed to them.
pub fn find(program: &str, path: &str) -> Option<PathBuf> {
    if program.contains('/') {
        return Some(PathBuf::from(program)).filter(|program| is_program(program));
    }
    path.split(':')
        .map(|directory| Path::new(directory).join(program))
        .find(|candidate| is_program(candidate))
}

fn is_program(path: &Path) -> bool {
    path.is_absolute() && path.is_file() && is_open_to_all(path, Right::Execute)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{
        fs::{self, Permissions},
        os::unix::fs::PermissionsExt as _,
    };

    #[test]
    fn programs_are_found_by_path_and_by_name_and_nothing_else_is() {
        assert!(find("/usr/bin/env", "").is_some());
        assert_eq!(
            find("env", "/no/such/directory:/usr/bin"),
            Some("/usr/bin/env".into())
        );
        for absent in [
            "/etc/passwd",
            "/usr/bin",
            "/no/such/program",
            "bin/env",
            "no-such",
            "",
        ] {
            assert_eq!(find(absent, "/usr/bin"), None, "{absent:?}");
        }
        assert_eq!(find("env", "usr/bin:"), None);
    }

    #[test]
    fn what_is_closed_to_others_is_not_told() {
        let dir = tempfile::TempDir::new().unwrap();
        let program = dir.path().join("program");
        fs::copy("/usr/bin/env", &program).unwrap();
        let found = |mode| {
            fs::set_permissions(dir.path(), Permissions::from_mode(mode)).unwrap();
            find(program.to_str().unwrap(), "")
        };
        assert_eq!(found(0o711), Some(program.clone()));
        assert_eq!(found(0o710), None);
    }
}
