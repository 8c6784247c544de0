//! The record beside an upper layer: where its contents belong.
//!
//! A text file of `key value` lines, so that a person who finds it can act on it too:
//!
//! ```text
//! softwarecontainer-write-buffer 1
//! owners 524288 65536
//! temporary .write-buffer-0123456789abcdef
//! device 254 0
//! inode 4711
//! path /home/app
//! ```
//!
//! A further line `single-owner 1000 100` after `owners` says that the user and the group are the
//! same for all files on disk. The path comes last and takes all that is left, because it may
//! contain any byte but NUL.

use std::{
    ffi::{CString, OsStr},
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
};

use crate::{
    error::{Failure, RecordError},
    mapping::Mapping,
};

const MAGIC: &str = "softwarecontainer-write-buffer 1";

/// What must be known of a buffer to write it to the host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// The directory of the host.
    pub host: PathBuf,
    /// Major and minor number of its device.
    pub device: (u32, u32),
    /// Its inode number.
    pub inode: u64,
    /// The container's ids.
    pub mapping: Mapping,
    /// Name for unfinished files, not in use on the host.
    pub temporary: CString,
}

impl Record {
    /// Writes the record to `path`, in one step.
    pub fn write(&self, path: &Path) -> Result<(), Failure> {
        let unfinished = path.with_extension("new");
        std::fs::write(&unfinished, self.to_bytes())
            .map_err(|error| Failure::new("write", &unfinished, error))?;
        std::fs::rename(&unfinished, path).map_err(|error| Failure::new("write", path, error))
    }

    /// Reads the record at `path`; `None` if there is none.
    pub fn read(path: &Path) -> Result<Option<Record>, RecordError> {
        let bytes = match std::fs::read(path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(Failure::new("read", path, error).into()),
        };
        match Record::parse(&bytes) {
            Ok(record) => Ok(Some(record)),
            Err(reason) => Err(RecordError::Malformed {
                path: path.to_owned(),
                reason,
            }),
        }
    }

    fn to_bytes(&self) -> Vec<u8> {
        let single = match self.mapping.single_owner() {
            Some((user, group)) => format!("single-owner {user} {group}\n"),
            None => String::new(),
        };
        let mut bytes = format!(
            "{MAGIC}\nowners {} {}\n{single}temporary {}\ndevice {} {}\ninode {}\npath ",
            self.mapping.first(),
            self.mapping.count(),
            self.temporary.to_string_lossy(),
            self.device.0,
            self.device.1,
            self.inode,
        )
        .into_bytes();
        bytes.extend_from_slice(self.host.as_os_str().as_bytes());
        bytes.push(b'\n');
        bytes
    }

    fn parse(bytes: &[u8]) -> Result<Record, &'static str> {
        const SINGLE: &[u8] = b"single-owner ";
        let has_single = bytes
            .split(|&byte| byte == b'\n')
            .nth(2)
            .is_some_and(|line| line.starts_with(SINGLE));
        let mut lines = bytes.splitn(if has_single { 7 } else { 6 }, |&byte| byte == b'\n');
        let mut next = |key: &str| -> Result<&[u8], &'static str> {
            let line = lines.next().ok_or("it is cut off")?;
            line.strip_prefix(key.as_bytes())
                .ok_or("a key is missing or out of order")
        };
        next(MAGIC).map_err(|_| "it has another format")?;
        let (first, count) = two(next("owners ")?)?;
        let mut mapping = Mapping::shift(first, count);
        if has_single {
            let (user, group) = two(next("single-owner ")?)?;
            mapping = mapping.of_single_owner(user, group);
        }
        let temporary = next("temporary ")?;
        let device = two(next("device ")?)?;
        let inode = number(next("inode ")?)?;
        let host = next("path ")?.strip_suffix(b"\n").ok_or("it is cut off")?;
        if temporary.is_empty() || temporary.contains(&b'/') {
            return Err("the temporary name is no file name");
        }
        if !host.starts_with(b"/") {
            return Err("the path is not absolute");
        }
        Ok(Record {
            host: Path::new(OsStr::from_bytes(host)).to_owned(),
            device,
            inode,
            mapping,
            temporary: CString::new(temporary).map_err(|_| "it contains a NUL")?,
        })
    }
}

fn number<T: std::str::FromStr>(bytes: &[u8]) -> Result<T, &'static str> {
    let text = str::from_utf8(bytes).ok();
    text.and_then(|text| text.parse().ok())
        .ok_or("a value is no number")
}

fn two(bytes: &[u8]) -> Result<(u32, u32), &'static str> {
    let mut parts = bytes.splitn(2, |&byte| byte == b' ');
    let (first, second) = (parts.next(), parts.next());
    match (first, second) {
        (Some(first), Some(second)) => Ok((number(first)?, number(second)?)),
        _ => Err("a value is missing"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(host: &[u8]) -> Record {
        Record {
            host: PathBuf::from(OsStr::from_bytes(host)),
            device: (254, 7),
            inode: u64::MAX,
            mapping: Mapping::shift(524_288, 65_536),
            temporary: c".write-buffer-00ff".to_owned(),
        }
    }

    #[test]
    fn record_survives_its_file_whatever_bytes_the_path_has() {
        for host in [&b"/"[..], b"/home/app", b"/a\nb\n", b"/\xff\xfe spaced "] {
            let mut record = record(host);
            assert_eq!(Record::parse(&record.to_bytes()), Ok(record.clone()));
            record.mapping = record.mapping.of_single_owner(1000, 100);
            assert_eq!(Record::parse(&record.to_bytes()), Ok(record));
        }
    }

    #[test]
    fn cut_off_or_foreign_records_are_refused() {
        let whole = record(b"/home/app").to_bytes();
        for length in 0..whole.len() {
            assert!(Record::parse(&whole[..length]).is_err(), "{length}");
        }
        for bad in [
            &b"softwarecontainer-write-buffer 2\nowners 0 0\ntemporary x\ndevice 1 1\ninode 1\npath /\n"[..],
            b"softwarecontainer-write-buffer 1\nowners 0 0\ntemporary a/b\ndevice 1 1\ninode 1\npath /\n",
            b"softwarecontainer-write-buffer 1\nowners 0 0\ntemporary x\ndevice 1 1\ninode 1\npath relative\n",
            b"softwarecontainer-write-buffer 1\nowners 0 -1\ntemporary x\ndevice 1 1\ninode 1\npath /\n",
        ] {
            assert!(Record::parse(bad).is_err());
        }
    }
}
