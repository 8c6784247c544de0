//! What an entry of an upper layer stands for: whiteouts, opaque directories, and the rest.

use std::ffi::{CStr, CString};

use rustix::{
    fs::{FileType, Statx},
    io::Errno,
};

use crate::{
    error::Failure,
    tree::{Dir, file_type},
};

/// Prefix of overlayfs' own attributes; the mount has no `userxattr`.
const OVERLAY: &[u8] = b"trusted.overlay.";

/// Extended attributes: names and values.
pub type Xattrs = Vec<(CString, Vec<u8>)>;

/// An entry of an upper layer.
pub enum Entry {
    /// The name was deleted.
    Whiteout,
    /// A directory; `opaque` if nothing of the lower directory shows through.
    Directory {
        /// Whether what the host has in it is hidden.
        opaque: bool,
    },
    /// Anything else, to be written in place of what the host has.
    Leaf(FileType),
}

/// Says what `name` with these attributes stands for.
pub fn classify(
    dir: &Dir,
    name: &CStr,
    stat: &Statx,
    xattrs: &[(CString, Vec<u8>)],
) -> Result<Entry, Failure> {
    let own = |key: &str| {
        let found = xattrs
            .iter()
            .find(|(name, _)| name.to_bytes().strip_prefix(OVERLAY) == Some(key.as_bytes()));
        found.map(|(_, value)| value.as_slice())
    };
    // The mount options rule both out; following them would mean to copy the wrong tree, ignoring
    // them to write empty files.
    if own("redirect").is_some() || own("metacopy").is_some() {
        return Err(dir.failure("copy the partial", name, Errno::NOTSUP));
    }
    match file_type(stat) {
        FileType::CharacterDevice if is_whiteout_device(stat) => Ok(Entry::Whiteout),
        // A whiteout as nested overlays see it (Linux 6.7).
        FileType::RegularFile if stat.stx_size == 0 && own("whiteout").is_some() => {
            Ok(Entry::Whiteout)
        }
        // "x" instead says that there may be whiteouts of the second kind in the directory.
        FileType::Directory => Ok(Entry::Directory {
            opaque: own("opaque") == Some(b"y"),
        }),
        other => Ok(Entry::Leaf(other)),
    }
}

/// Whether the attributes are those of a whiteout: a character device 0:0.
pub fn is_whiteout_device(stat: &Statx) -> bool {
    file_type(stat) == FileType::CharacterDevice
        && stat.stx_rdev_major == 0
        && stat.stx_rdev_minor == 0
}

/// The name that an attribute in the upper layer has on the host; `None` for overlayfs' own.
pub fn host_xattr_name(name: &CStr) -> Option<CString> {
    let Some(rest) = name.to_bytes().strip_prefix(OVERLAY) else {
        return Some(name.to_owned());
    };
    // An overlay escapes the attributes of an overlay stored in it: trusted.overlay.overlay.*
    let inner = rest.strip_prefix(b"overlay.")?;
    CString::new([OVERLAY, inner].concat()).ok()
}

#[cfg(test)]
mod tests {
    use super::host_xattr_name;

    #[test]
    fn attributes_of_overlayfs_stay_behind_and_others_do_not() {
        assert_eq!(host_xattr_name(c"trusted.overlay.opaque"), None);
        assert_eq!(host_xattr_name(c"trusted.overlay.origin"), None);
        let unescaped = host_xattr_name(c"trusted.overlay.overlay.opaque");
        assert_eq!(unescaped.as_deref(), Some(c"trusted.overlay.opaque"));
        for kept in [c"user.overlay.opaque", c"user.x", c"trusted.overlays"] {
            assert_eq!(host_xattr_name(kept).as_deref(), Some(kept));
        }
    }
}
