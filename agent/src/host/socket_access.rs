//! Lets a container's root use a socket of the host on a file system that cannot show it with
//! mapped owners.
//!
//! connect(2) wants the right to write. tmpfs, where nearly all sockets are, has idmapped mounts
//! since Linux 6.3 only. On older kernels the container's root is a stranger to the socket's owner;
//! an entry in the socket's access control list (acl(5)) lets it in. What others may do stays as it
//! is, and the entry goes with the value that stands for it.

use std::{
    io,
    os::fd::{AsRawFd as _, OwnedFd},
    path::Path,
};

use rustix::{
    fs::{CWD, FileType, Mode, OFlags, XattrFlags},
    io::Errno,
};

const ATTRIBUTE: &str = "system.posix_acl_access";
/// Of the attribute's value, see linux/posix_acl_xattr.h: a version, then entries of tag,
/// permissions and ID, ordered by tag.
const VERSION: u32 = 2;
const OWNER: u16 = 0x01;
const USER: u16 = 0x02;
const GROUP: u16 = 0x04;
const NAMED_GROUP: u16 = 0x08;
const MASK: u16 = 0x10;
const OTHERS: u16 = 0x20;
const NOBODY: u32 = u32::MAX;
const READ_WRITE: u16 = 6;
/// Room for some hundred entries; the kernel allows more, nobody has them.
const LARGEST: usize = 4096;

/// A user's right to a socket, until this value goes.
#[derive(Debug)]
pub struct SocketAccess {
    socket: OwnedFd,
    user: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Entry {
    tag: u16,
    permissions: u16,
    id: u32,
}

impl SocketAccess {
    /// Lets the host's user ID `user` connect to `socket`.
    ///
    /// # Errors
    /// The errno of the call that failed; EOPNOTSUPP where the file system has no access control
    /// lists, EINVAL if it is no socket.
    pub fn grant(socket: &Path, user: u32) -> io::Result<Self> {
        let flags = OFlags::PATH | OFlags::CLOEXEC;
        let socket = rustix::fs::openat(CWD, socket, flags, Mode::empty())?;
        let status = rustix::fs::fstat(&socket)?;
        if FileType::from_raw_mode(status.st_mode) != FileType::Socket {
            return Err(Errno::INVAL.into());
        }
        let this = Self { socket, user };
        let entries = with_user(this.entries(status.st_mode)?, user);
        this.set(&entries)?;
        Ok(this)
    }

    /// A path to the socket that was opened, whatever is at its place by now.
    fn path(&self) -> String {
        format!("/proc/self/fd/{}", self.socket.as_raw_fd())
    }

    /// The list, or what the mode says where there is none.
    fn entries(&self, mode: u32) -> io::Result<Vec<Entry>> {
        let mut value = vec![0; LARGEST];
        match rustix::fs::getxattr(self.path(), ATTRIBUTE, &mut value[..]) {
            Ok(length) => Ok(decode(&value[..length])),
            Err(Errno::NODATA) => Ok(of_mode(mode)),
            Err(errno) => Err(errno.into()),
        }
    }

    fn set(&self, entries: &[Entry]) -> io::Result<()> {
        rustix::fs::setxattr(
            self.path(),
            ATTRIBUTE,
            &encode(entries),
            XattrFlags::empty(),
        )?;
        Ok(())
    }

    fn revoke(&self) -> io::Result<()> {
        let mode = rustix::fs::fstat(&self.socket)?.st_mode;
        self.set(&without_user(self.entries(mode)?, self.user))
    }
}

impl Drop for SocketAccess {
    fn drop(&mut self) {
        if let Err(error) = self.revoke() {
            log::warn!(
                "cannot take a socket's right from user {}: {error}",
                self.user
            );
        }
    }
}

fn of_mode(mode: u32) -> Vec<Entry> {
    [(OWNER, 6), (GROUP, 3), (OTHERS, 0)]
        .into_iter()
        .map(|(tag, shift)| Entry {
            tag,
            permissions: u16::try_from(mode >> shift & 7).unwrap_or(0),
            id: NOBODY,
        })
        .collect()
}

/// With the right for `user`. The mask, which bounds all but owner and others, grows, so it is
/// applied to the rest before.
fn with_user(entries: Vec<Entry>, user: u32) -> Vec<Entry> {
    let mask = entries
        .iter()
        .find(|entry| entry.tag == MASK)
        .map(|entry| entry.permissions);
    let mut entries = without_user(entries, user);
    let mut bound = 0;
    for entry in &mut entries {
        if matches!(entry.tag, USER | GROUP | NAMED_GROUP) {
            entry.permissions &= mask.unwrap_or(7);
            bound |= entry.permissions;
        }
    }
    entries.retain(|entry| entry.tag != MASK);
    entries.push(Entry {
        tag: USER,
        permissions: READ_WRITE,
        id: user,
    });
    entries.push(Entry {
        tag: MASK,
        permissions: bound | READ_WRITE,
        id: NOBODY,
    });
    entries.sort_by_key(|entry| entry.tag);
    entries
}

/// Without a right for `user`. A mask that bounds nobody any more goes, too: the kernel makes a
/// plain mode of the rest.
fn without_user(mut entries: Vec<Entry>, user: u32) -> Vec<Entry> {
    entries.retain(|entry| entry.tag != USER || entry.id != user);
    if !entries
        .iter()
        .any(|entry| matches!(entry.tag, USER | NAMED_GROUP))
    {
        let mask = entries
            .iter()
            .find(|entry| entry.tag == MASK)
            .map_or(7, |entry| entry.permissions);
        for entry in entries.iter_mut().filter(|entry| entry.tag == GROUP) {
            entry.permissions &= mask;
        }
        entries.retain(|entry| entry.tag != MASK);
    }
    entries
}

fn decode(value: &[u8]) -> Vec<Entry> {
    let entries = value.get(4..).unwrap_or_default().chunks_exact(8);
    entries
        .map(|entry| Entry {
            tag: u16::from_le_bytes([entry[0], entry[1]]),
            permissions: u16::from_le_bytes([entry[2], entry[3]]),
            id: u32::from_le_bytes([entry[4], entry[5], entry[6], entry[7]]),
        })
        .collect()
}

fn encode(entries: &[Entry]) -> Vec<u8> {
    let mut value = VERSION.to_le_bytes().to_vec();
    for entry in entries {
        value.extend(entry.tag.to_le_bytes());
        value.extend(entry.permissions.to_le_bytes());
        value.extend(entry.id.to_le_bytes());
    }
    value
}

#[cfg(test)]
#[path = "socket_access/tests.rs"]
mod tests;
