//! The legacy variant of iptables(8), whose tables nf_tables does not see.

use std::{
    fs,
    path::{Path, PathBuf},
};

use super::iptables::PATH;

/// What its program file is called: from iptables 1.8 on, and before.
const PROGRAMS: [&str; 2] = ["xtables-legacy-multi", "xtables-multi"];
/// The files of proc(5), in `net`, that list its tables.
const TABLES: [&str; 2] = ["ip_tables_names", "ip6_tables_names"];

/// Whether others may have rules in its tables: its programs are what is installed, and the kernel
/// has such tables in the calling thread's network namespace. It makes each when it is first asked
/// for it; before Linux 5.15, when the module is loaded.
pub(crate) fn is_in_use() -> bool {
    is_installed() && has_tables()
}

fn has_tables() -> bool {
    TABLES.iter().any(|file| {
        let names = fs::read_to_string(Path::new("/proc/thread-self/net").join(file));
        names.is_ok_and(|names| !names.trim().is_empty())
    })
}

/// Whether the installed programs are of that variant.
fn is_installed() -> bool {
    installed(PATH, "iptables-restore").is_some_and(|program| {
        let name = program.file_name();
        PROGRAMS.iter().any(|legacy| name == Some(legacy.as_ref()))
    })
}

/// The file that the name of a program leads to.
fn installed(path: &str, name: &str) -> Option<PathBuf> {
    path.split(':')
        .find_map(|directory| Path::new(directory).join(name).canonicalize().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_is_known_by_the_file_that_its_name_leads_to() {
        let directory = std::env::temp_dir().join(format!("sc-test-net-{}", std::process::id()));
        let (first, second) = (directory.join("first"), directory.join("second"));
        std::fs::create_dir_all(&first).unwrap();
        std::fs::create_dir_all(&second).unwrap();
        std::fs::write(second.join("xtables-legacy-multi"), "").unwrap();
        let link = second.join("iptables-restore");
        std::os::unix::fs::symlink("xtables-legacy-multi", link).unwrap();
        let path = format!("{}:{}", first.display(), second.display());
        let found = installed(&path, "iptables-restore");
        assert_eq!(found, Some(second.join("xtables-legacy-multi")));
        assert_eq!(installed(&path, "ip6tables-restore"), None);
        std::fs::remove_dir_all(directory).unwrap();
    }
}
