//! The list of mounts, `/proc/self/mountinfo` (proc_pid_mountinfo(5)).

use std::{
    fs, io,
    os::unix::ffi::OsStringExt as _,
    path::{Path, PathBuf},
};

/// The file with the list.
pub const LIST: &str = "/proc/self/mountinfo";

/// A mount of this process's mount namespace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mount {
    /// Its number.
    pub id: u64,
    /// Where it is mounted.
    pub point: PathBuf,
    /// The type of its file system.
    pub kind: String,
}

/// All mounts, in the order in which they were mounted.
///
/// # Errors
/// [`LIST`] cannot be read.
pub fn all() -> io::Result<Vec<Mount>> {
    let list = fs::read(LIST)?;
    Ok(list
        .split(|&byte| byte == b'\n')
        .filter_map(parse)
        .collect())
}

fn parse(line: &[u8]) -> Option<Mount> {
    let mut fields = line.split(|&byte| byte == b' ');
    let id = std::str::from_utf8(fields.next()?).ok()?.parse().ok()?;
    let point = unescaped(fields.nth(3)?);
    // A number of optional fields comes before the dash.
    fields.find(|field| *field == b"-")?;
    let kind = String::from_utf8_lossy(fields.next()?).into_owned();
    Some(Mount { id, point, kind })
}

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

/// Where in `list`, the content of a mountinfo file, the mount with this ID is.
pub fn point_of(list: &[u8], id: u64) -> Option<PathBuf> {
    let id = id.to_string();
    list.split(|&byte| byte == b'\n').find_map(|line| {
        let mut fields = line.split(|&byte| byte == b' ');
        let found = fields.next()? == id.as_bytes();
        let point = fields.nth(3)?;
        found.then(|| unescaped(point))
    })
}

/// How many mounts in `list` are at `point`, one over the other.
pub fn count_at(list: &[u8], point: &Path) -> usize {
    list.split(|&byte| byte == b'\n')
        .filter_map(|line| line.split(|&byte| byte == b' ').nth(4))
        .filter(|at| unescaped(at) == point)
        .count()
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
    fn a_mount_is_found_by_its_id() {
        let list = b"21 1 8:1 / / rw - ext4 /dev/sda rw\n121 21 0:5 /x /a\\040b rw - tmpfs t rw\n";
        assert_eq!(point_of(list, 121), Some("/a b".into()));
        assert_eq!(point_of(list, 21), Some("/".into()));
        assert_eq!(point_of(list, 2), None);
        assert_eq!(count_at(list, Path::new("/a b")), 1);
        assert_eq!(count_at(list, Path::new("/b")), 0);
    }

    #[test]
    fn fields_are_found_whatever_options_come_between() {
        for options in ["", "shared:1 ", "shared:1 master:2 propagate_from:3 "] {
            let line = format!("36 35 98:0 /mnt1 /a\\040b rw,noatime {options}- ext3 /dev/root rw");
            let mount = Mount {
                id: 36,
                point: "/a b".into(),
                kind: "ext3".to_owned(),
            };
            assert_eq!(parse(line.as_bytes()), Some(mount));
        }
        assert_eq!(parse(b""), None);
        assert!(all().unwrap().iter().any(|mount| mount.kind == "proc"));
    }

    #[test]
    fn the_root_directory_is_among_the_mounts() {
        assert!(points_under(&["/"]).unwrap().contains(&PathBuf::from("/")));
    }
}
