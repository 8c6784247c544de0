//! Programs of a newer Debian than the tests run on.
#![allow(dead_code, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use crate::unable;

const NEWER_DEBIAN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../scripts/newer-debian");
/// In a mount namespace of its own: the root that holds the programs, a directory of the host.
const ENTER: &str = r#"
mount -t proc proc "$1/proc" && mount --rbind /dev "$1/dev" && mount --bind "$2" "$1/mnt" &&
root=$1 && shift 2 && exec chroot "$root" "$@"
"#;

/// The directory with the programs; notes why where this machine cannot have it.
pub fn root() -> Option<PathBuf> {
    let output = Command::new(NEWER_DEBIAN).output().unwrap();
    if output.status.success() {
        return Some(String::from_utf8(output.stdout).unwrap().trim().into());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    unable::note(said.lines().last().unwrap_or("no newer Debian"));
    None
}

/// A command in that root, without any variables but these, that sees `dir` as `/mnt`.
pub fn command(root: &Path, dir: &Path, variables: &[(&str, &str)]) -> Command {
    let mut command = Command::new("unshare");
    command.args(["--mount", "--propagation", "private", "sh", "-c", ENTER]);
    command.arg("sh").args([root, dir]);
    command
        .env_clear()
        .env("PATH", "/usr/bin:/usr/sbin")
        .env("LC_ALL", "C")
        .envs(variables.iter().copied());
    command
}
