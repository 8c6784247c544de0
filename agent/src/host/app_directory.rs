//! Files of the agent in a directory that an app can write to.
//!
//! The app may have put anything under any name there, and may swap it at any moment: nothing is
//! followed, and nothing that is there is written to.

use std::{
    fs::File,
    io::{self, Write as _},
    os::{
        fd::{AsRawFd as _, OwnedFd},
        unix::net::UnixListener,
    },
    path::Path,
};

use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags};

use super::random;

/// Puts a file with this content, readable by everybody, in the place of whatever has the name.
///
/// # Errors
/// The system's; EISDIR if a directory has the name.
pub fn replace(directory: &Path, name: &str, content: &[u8]) -> io::Result<()> {
    let directory = open(directory)?;
    let temporary = temporary_name()?;
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mode = Mode::from_raw_mode(0o644);
    let mut file = File::from(rustix::fs::openat(&directory, &temporary, flags, mode)?);
    let renamed = file.write_all(content).and_then(|()| {
        Ok(rustix::fs::renameat(
            &directory, &temporary, &directory, name,
        )?)
    });
    if renamed.is_err() {
        let _ = rustix::fs::unlinkat(&directory, &temporary, AtFlags::empty());
    }
    renamed
}

/// Listens at `name`, for everybody who can enter the directory. What else has the name goes.
///
/// # Errors
/// The system's.
pub fn listen(directory: &Path, name: &str) -> io::Result<UnixListener> {
    let directory = open(directory)?;
    let temporary = temporary_name()?;
    // Short enough for `sun_path` (unix(7)), however deep the directory lies.
    let path = format!("/proc/self/fd/{}/{temporary}", directory.as_raw_fd());
    let listener = UnixListener::bind(path)?;
    let named = permit(&directory, &temporary).and_then(|()| {
        Ok(rustix::fs::renameat(
            &directory, &temporary, &directory, name,
        )?)
    });
    if let Err(error) = named {
        let _ = rustix::fs::unlinkat(&directory, &temporary, AtFlags::empty());
        return Err(error);
    }
    Ok(listener)
}

/// Removes a file, whatever it is by now.
///
/// # Errors
/// From unlinkat(2).
pub fn remove(directory: &Path, name: &str) -> io::Result<()> {
    let directory = open(directory)?;
    Ok(rustix::fs::unlinkat(&directory, name, AtFlags::empty())?)
}

fn permit(directory: &OwnedFd, socket: &str) -> io::Result<()> {
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let socket = rustix::fs::openat(directory, socket, flags, Mode::empty())?;
    let status = rustix::fs::fstat(&socket)?;
    if FileType::from_raw_mode(status.st_mode) != FileType::Socket {
        return Err(io::ErrorKind::AlreadyExists.into());
    }
    let path = format!("/proc/self/fd/{}", socket.as_raw_fd());
    Ok(rustix::fs::chmod(path, Mode::from_raw_mode(0o666))?)
}

fn open(directory: &Path) -> rustix::io::Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::openat(CWD, directory, flags, Mode::empty())
}

/// A name that an app cannot guess.
fn temporary_name() -> io::Result<String> {
    Ok(format!(
        ".new-{:016x}",
        u64::from_ne_bytes(random::bytes()?)
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{
        fs,
        os::unix::{fs::PermissionsExt as _, fs::symlink, net::UnixStream},
    };

    #[test]
    fn what_an_app_planted_is_neither_followed_nor_written_to() {
        let dir = tempfile::TempDir::new().unwrap();
        let victim = dir.path().join("victim");
        let gateways = dir.path().join("gateways");
        fs::create_dir(&gateways).unwrap();
        fs::write(&victim, "precious").unwrap();
        symlink(&victim, gateways.join("env")).unwrap();
        symlink(&victim, gateways.join("socket")).unwrap();
        replace(&gateways, "env", b"new").unwrap();
        let _listener = listen(&gateways, "socket").unwrap();
        assert_eq!(fs::read(&victim).unwrap(), b"precious");
        assert_ne!(
            fs::metadata(&victim).unwrap().permissions().mode() & 0o777,
            0o666
        );
        assert_eq!(fs::read(gateways.join("env")).unwrap(), b"new");
        UnixStream::connect(gateways.join("socket")).unwrap();
        fs::hard_link(&victim, gateways.join("linked")).unwrap();
        replace(&gateways, "linked", b"new").unwrap();
        assert_eq!(fs::read(&victim).unwrap(), b"precious");
        fs::create_dir(gateways.join("directory")).unwrap();
        replace(&gateways, "directory", b"new").unwrap_err();
        listen(&gateways, "directory").unwrap_err();
        remove(&gateways, "directory").unwrap_err();
        let left: Vec<_> = fs::read_dir(&gateways).unwrap().flatten().collect();
        assert_eq!(left.len(), 4, "{left:?}");
    }

    #[test]
    fn a_socket_can_lie_deep_in_the_tree() {
        let dir = tempfile::TempDir::new().unwrap();
        let deep = dir.path().join("d".repeat(120));
        fs::create_dir(&deep).unwrap();
        let _listener = listen(&deep, "sess_SC-0.sock").unwrap();
        let mode = fs::metadata(deep.join("sess_SC-0.sock"))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o666);
    }
}
