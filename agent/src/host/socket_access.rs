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
use softwarecontainer_write_buffer::acl::{self, Entry, NO_ID, tag};

/// The permissions to read (4) and write (2).
const READ_WRITE: u16 = 6;
/// Room for some hundred entries; the kernel allows more, nobody has them.
const LARGEST: usize = 4096;

/// A user's right to a socket, until this value goes.
#[derive(Debug)]
pub struct SocketAccess {
    socket: OwnedFd,
    user: u32,
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
        match rustix::fs::getxattr(self.path(), acl::ACCESS, &mut value[..]) {
            Ok(length) => acl::decode(&value[..length]).ok_or(io::ErrorKind::InvalidData.into()),
            Err(Errno::NODATA) => Ok(of_mode(mode)),
            Err(errno) => Err(errno.into()),
        }
    }

    fn set(&self, entries: &[Entry]) -> io::Result<()> {
        rustix::fs::setxattr(
            self.path(),
            acl::ACCESS,
            &acl::encode(entries),
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
    [(tag::OWNER, 6), (tag::OWNING_GROUP, 3), (tag::OTHERS, 0)]
        .into_iter()
        .map(|(tag, shift)| Entry {
            tag,
            permissions: u16::try_from(mode >> shift & 7).unwrap_or(0),
            id: NO_ID,
        })
        .collect()
}

/// With the right for `user`. The mask, which bounds all but owner and others, grows, so it is
/// applied to the rest before.
fn with_user(entries: Vec<Entry>, user: u32) -> Vec<Entry> {
    let mask = entries
        .iter()
        .find(|entry| entry.tag == tag::MASK)
        .map(|entry| entry.permissions);
    let mut entries = without_user(entries, user);
    let mut bound = 0;
    for entry in &mut entries {
        if matches!(entry.tag, tag::USER | tag::OWNING_GROUP | tag::GROUP) {
            entry.permissions &= mask.unwrap_or(7);
            bound |= entry.permissions;
        }
    }
    entries.retain(|entry| entry.tag != tag::MASK);
    entries.push(Entry {
        tag: tag::USER,
        permissions: READ_WRITE,
        id: user,
    });
    entries.push(Entry {
        tag: tag::MASK,
        permissions: bound | READ_WRITE,
        id: NO_ID,
    });
    entries.sort_by_key(|entry| entry.tag);
    entries
}

/// Without a right for `user`. A mask that bounds nobody any more goes, too: the kernel makes a
/// plain mode of the rest.
fn without_user(mut entries: Vec<Entry>, user: u32) -> Vec<Entry> {
    entries.retain(|entry| entry.tag != tag::USER || entry.id != user);
    if !entries
        .iter()
        .any(|entry| matches!(entry.tag, tag::USER | tag::GROUP))
    {
        let mask = entries
            .iter()
            .find(|entry| entry.tag == tag::MASK)
            .map_or(7, |entry| entry.permissions);
        for entry in entries
            .iter_mut()
            .filter(|entry| entry.tag == tag::OWNING_GROUP)
        {
            entry.permissions &= mask;
        }
        entries.retain(|entry| entry.tag != tag::MASK);
    }
    entries
}

#[cfg(test)]
#[path = "socket_access/tests.rs"]
mod tests;
