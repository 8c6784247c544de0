//! Pseudoterminals of containers (pty(7)).

use std::{io, os::fd::OwnedFd, path::Path};

use rustix::{
    fs::{FileType, Gid, OFlags, Uid},
    pty::{OpenptFlags, ioctl_tiocgptpeer, unlockpt},
    termios::{Winsize, tcsetwinsize},
};

use super::{
    app_user::AppUser,
    in_root::{open_in_root, open_root},
    namespace::{NamespaceError, Namespaces},
};

/// What makes pseudoterminals of a container, and its device number (ptmx(4)).
const MULTIPLEXER: (&str, u64) = ("/dev/pts/ptmx", libc::makedev(5, 2));
/// The file system of pseudoterminals (statfs(2)).
const DEVPTS: i64 = 0x1cd1;

/// The size of a terminal, in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size {
    /// How many columns.
    pub columns: u16,
    /// How many rows.
    pub rows: u16,
}

/// The two ends of a pseudoterminal.
#[derive(Debug)]
pub struct Terminal {
    /// That of whoever is at the terminal.
    pub near: OwnedFd,
    /// That of the processes.
    pub far: OwnedFd,
}

impl Terminal {
    /// Makes one of the container's own, which has a name there. The far end belongs to `user`.
    ///
    /// # Errors
    /// The container has no such file system where it should be, or the system's.
    pub fn open(namespaces: &Namespaces, user: AppUser, size: Size) -> io::Result<Self> {
        let made = namespaces.inside_mounts(|inside| open_inside(inside.root()));
        let near = made.map_err(|error: NamespaceError| io::Error::other(error))??;
        unlockpt(&near)?;
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
        let far = ioctl_tiocgptpeer(&near, flags)?;
        let (owner, group) = (
            Uid::from_raw(user.on_host),
            Gid::from_raw(user.group_on_host),
        );
        rustix::fs::fchown(&far, Some(owner), Some(group))?;
        let size = Winsize {
            ws_col: size.columns,
            ws_row: size.rows,
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        tcsetwinsize(&near, size)?;
        Ok(Self { near, far })
    }
}

/// An app may have put something else there: opening that must not hold anything up, and it must
/// not be used.
fn open_inside(root: &Path) -> io::Result<OwnedFd> {
    let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let root = open_root(root)?;
    let (path, number) = MULTIPLEXER;
    let looked_at = open_in_root(
        std::os::fd::AsFd::as_fd(&root),
        Path::new(path),
        OFlags::PATH | OFlags::NOFOLLOW,
    )?;
    let is_multiplexer = |fd: &OwnedFd| {
        let stat = rustix::fs::fstat(fd)?;
        let is_device = FileType::from_raw_mode(stat.st_mode) == FileType::CharacterDevice;
        let system = rustix::fs::fstatfs(fd)?;
        let right =
            is_device && stat.st_rdev == number && i128::from(system.f_type) == DEVPTS.into();
        right.then_some(()).ok_or_else(|| {
            io::Error::new(
                io::ErrorKind::InvalidData,
                format!("{path} is something else"),
            )
        })
    };
    is_multiplexer(&looked_at)?;
    let opened = open_in_root(std::os::fd::AsFd::as_fd(&root), Path::new(path), flags)?;
    is_multiplexer(&opened)?;
    rustix::fs::fcntl_setfl(&opened, OFlags::empty())?;
    Ok(opened)
}
