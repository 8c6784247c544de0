//! Device nodes as they are on the host.

use std::{
    fs,
    os::unix::fs::{FileTypeExt as _, MetadataExt as _},
    path::Path,
};

use nix::{
    libc::dev_t,
    sys::stat::{SFlag, major, minor},
};

use crate::gateway::error::Cause;

/// A device node as it is on the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Device {
    pub kind: SFlag,
    pub number: dev_t,
    /// Permission bits.
    pub mode: u32,
}

impl Device {
    pub fn find(path: &Path) -> Result<Self, Cause> {
        let metadata = fs::metadata(path).map_err(|source| Cause::File {
            action: "examine device node",
            path: path.to_owned(),
            source,
        })?;
        let kind = match metadata.file_type() {
            kind if kind.is_char_device() => SFlag::S_IFCHR,
            kind if kind.is_block_device() => SFlag::S_IFBLK,
            _ => {
                return Err(Cause::Other(format!(
                    "{} is no device node",
                    path.display()
                )));
            }
        };
        Ok(Self {
            kind,
            number: metadata.rdev(),
            mode: metadata.mode() & 0o777,
        })
    }

    pub fn is_same_device(&self, other: &Self) -> bool {
        (self.kind, self.number) == (other.kind, other.number)
    }

    /// As the devices cgroup names it.
    pub fn rule(&self) -> String {
        let letter = if self.kind == SFlag::S_IFCHR {
            'c'
        } else {
            'b'
        };
        format!("{letter} {}:{} rwm", major(self.number), minor(self.number))
    }
}
