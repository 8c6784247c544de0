//! The list of mounts, `/proc/self/mountinfo` (proc_pid_mountinfo(5)).

use std::{
    fs, io,
    os::unix::ffi::OsStringExt as _,
    path::{Path, PathBuf},
};

/// The file with the list.
pub const LIST: &str = "/proc/self/mountinfo";

/// The mount points at and under `directories`, in the order in which they were mounted.
///
/// # Errors
/// [`LIST`] cannot be read.
pub fn points_under(directories: &[impl AsRef<Path>]) -> io::Result<Vec<PathBuf>> {
    let list = fs::read(LIST)?;
    let points = list
        .split(|&byte| byte == b'\n')
        .filter_map(|line| line.split(|&byte| byte == b' ').nth(4))
        .map(unescaped);
    let is_under = |point: &PathBuf| directories.iter().any(|it| point.starts_with(it));
    Ok(points.filter(is_under).collect())
}

/// Undoes the octal escapes in a field of `/proc/self/mountinfo`.
pub(super) fn unescaped(text: &[u8]) -> PathBuf {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((&first, tail)) = rest.split_first() {
        let code = (first == b'\\').then(|| tail.get(..3)).flatten();
        let code = code.and_then(|digits| std::str::from_utf8(digits).ok());
        match code.and_then(|digits| u8::from_str_radix(digits, 8).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = tail.get(3..).unwrap_or_default();
            }
            None => {
                bytes.push(first);
                rest = tail;
            }
        }
    }
    PathBuf::from(std::ffi::OsString::from_vec(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_of_the_mount_list_are_undone() {
        assert_eq!(unescaped(br"/a\040b\134c"), Path::new(r"/a b\c"));
        assert_eq!(unescaped(br"/a\"), Path::new(r"/a\"));
        assert_eq!(unescaped(br"/a\9zz"), Path::new(r"/a\9zz"));
    }

    #[test]
    fn the_root_directory_is_among_the_mounts() {
        assert!(points_under(&["/"]).unwrap().contains(&PathBuf::from("/")));
    }
}
