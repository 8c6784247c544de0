//! The standard streams of a new process.
//!
//! What a launcher hands over is an app's from then on. A descriptor says nothing of the path that
//! it came by, so what it opens is looked at: a directory would lead out of the container
//! (`openat(0, "..")`), a terminal of the host would let the app change and read it, and a device
//! or a file of the kernel's own file systems does what the container's rules do not know of.

use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};

use rustix::fs::{FileType, OFlags};
use softwarecontainer_init::TERMINAL;
use thiserror::Error;

use crate::host::kernel_files::{is_harmless, is_kernels};

/// Input, output and error.
const STREAMS: usize = 3;
/// A descriptor that an app may not have.
#[derive(Debug, Error)]
#[error("descriptor {stream}: {reason}")]
pub struct StreamError {
    stream: u32,
    reason: &'static str,
}

/// The standard streams of a new process. What is not given is `/dev/null` of the container.
#[derive(Debug)]
pub enum Streams {
    /// One descriptor for output and error, or none.
    Output(Option<OwnedFd>),
    /// Input, output and error.
    Each([Option<OwnedFd>; STREAMS]),
    /// The terminal that controls the process: all three.
    Terminal(OwnedFd),
}

impl Streams {
    /// Those that a launcher hands over, by their numbers.
    ///
    /// # Errors
    /// [`StreamError`]: a number other than 0, 1 and 2, or what an app may not have.
    pub fn of(given: Vec<(u32, OwnedFd)>) -> Result<Self, StreamError> {
        let mut each = [None, None, None];
        for (stream, descriptor) in given {
            let place = usize::try_from(stream).ok();
            let place = place.and_then(|place| each.get_mut(place));
            let place = place.ok_or(StreamError {
                stream,
                reason: "only 0, 1 and 2 can be given",
            })?;
            if let Some(reason) = refusal(descriptor.as_fd()) {
                return Err(StreamError { stream, reason });
            }
            *place = Some(descriptor);
        }
        Ok(match each {
            [None, None, None] => Self::Output(None),
            each => Self::Each(each),
        })
    }

    /// What the init is told of them ([`softwarecontainer_init::Kind::Spawn`]).
    pub fn value(&self) -> i32 {
        match self {
            Self::Output(_) => 0,
            Self::Each(each) => {
                let given = each.iter().enumerate().filter(|(_, it)| it.is_some());
                given.fold(0, |all, (stream, _)| all | 1 << stream)
            }
            Self::Terminal(_) => ((1 << STREAMS) - 1) | TERMINAL,
        }
    }

    /// The descriptors that go to the init.
    pub fn descriptors(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        let all = match self {
            Self::Output(output) => [output.as_ref(), None, None],
            Self::Each(each) => each.each_ref().map(Option::as_ref),
            Self::Terminal(terminal) => [Some(terminal); STREAMS],
        };
        all.into_iter().flatten().map(|fd| fd.as_fd())
    }
}

/// Why an app may not have a descriptor.
fn refusal(descriptor: BorrowedFd<'_>) -> Option<&'static str> {
    let Ok(flags) = rustix::fs::fcntl_getfl(descriptor) else {
        return Some("it is not open");
    };
    if flags.contains(OFlags::PATH) {
        return Some("it is a path, not an open file (O_PATH)");
    }
    let (Ok(stat), Ok(system)) = (
        rustix::fs::fstat(descriptor),
        rustix::fs::fstatfs(descriptor),
    ) else {
        return Some("it cannot be looked at");
    };
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::Fifo | FileType::Socket => None,
        FileType::RegularFile if is_kernels(system.f_type) => {
            Some("it is a file of the kernel's, as in /proc")
        }
        FileType::RegularFile => None,
        FileType::Directory => Some("it is a directory, which leads out of the container"),
        FileType::CharacterDevice if is_harmless(stat.st_rdev) => None,
        FileType::CharacterDevice if rustix::termios::isatty(descriptor) => {
            Some("it is a terminal of the host; the option \"terminal\" makes one")
        }
        FileType::CharacterDevice | FileType::BlockDevice => {
            Some("it is a device; a devicenode gateway can bring it")
        }
        _ => Some("it is neither a file, a pipe nor a socket"),
    }
}

#[cfg(test)]
mod tests {
    use std::{fs::File, io, os::unix::net::UnixStream};

    use super::*;

    fn refused(descriptor: impl Into<OwnedFd>) -> Option<String> {
        let result = Streams::of(vec![(0, descriptor.into())]);
        result.err().map(|error| error.to_string())
    }

    #[test]
    fn files_pipes_and_sockets_may_be_handed_over() {
        let (reader, writer) = io::pipe().unwrap();
        let (socket, _other) = UnixStream::pair().unwrap();
        let memory = rustix::fs::memfd_create(c"m", rustix::fs::MemfdFlags::CLOEXEC).unwrap();
        assert_eq!(refused(reader), None);
        assert_eq!(refused(writer), None);
        assert_eq!(refused(socket), None);
        assert_eq!(refused(memory), None);
        assert_eq!(refused(tempfile::tempfile().unwrap()), None);
        assert_eq!(refused(File::open("/dev/null").unwrap()), None);
    }

    #[test]
    fn what_leads_out_of_the_container_is_refused() {
        let (terminal, _master) = terminal();
        let cases: [(OwnedFd, &str); 6] = [
            (File::open("/").unwrap().into(), "directory"),
            (File::open("/proc/self/status").unwrap().into(), "kernel"),
            (File::open("/proc/self/ns/mnt").unwrap().into(), "kernel"),
            (
                File::open("/sys/kernel/uevent_seqnum").unwrap().into(),
                "kernel",
            ),
            (terminal, "terminal"),
            (path_only(), "O_PATH"),
        ];
        for (descriptor, part) in cases {
            let said = refused(descriptor).unwrap();
            assert!(said.contains(part), "{said}");
        }
        let null = File::open("/dev/null").unwrap().into();
        let said = Streams::of(vec![(3, null)]).unwrap_err().to_string();
        assert!(said.starts_with("descriptor 3: "), "{said}");
    }

    fn path_only() -> OwnedFd {
        let flags = OFlags::PATH | OFlags::CLOEXEC;
        rustix::fs::open("/dev/null", flags, rustix::fs::Mode::empty()).unwrap()
    }

    fn terminal() -> (OwnedFd, OwnedFd) {
        let flags = rustix::pty::OpenptFlags::RDWR | rustix::pty::OpenptFlags::NOCTTY;
        let master = rustix::pty::openpt(flags).unwrap();
        rustix::pty::unlockpt(&master).unwrap();
        let slave = rustix::pty::ioctl_tiocgptpeer(&master, flags).unwrap();
        (slave, master)
    }

    #[test]
    fn the_init_is_told_which_are_there() {
        let (reader, writer) = io::pipe().unwrap();
        let streams = Streams::of(vec![(2, writer.into()), (0, reader.into())]).unwrap();
        assert_eq!(streams.value(), 0b101);
        assert_eq!(streams.descriptors().count(), 2);
        assert_eq!(Streams::of(Vec::new()).unwrap().value(), 0);
        let (slave, _master) = terminal();
        let streams = Streams::Terminal(slave);
        assert_eq!(streams.value(), 0b1111);
        assert_eq!(streams.descriptors().count(), 3);
    }
}
