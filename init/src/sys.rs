//! Thin wrappers around the system calls of the init. One thread, so fork(2) is safe to follow with
//! anything.

mod confine;
mod landlock;
mod listen;
mod priority;

use std::{
    ffi::{CStr, CString, OsStr},
    fs::File,
    io::{self, IoSlice, IoSliceMut, Read as _, Seek as _},
    os::{
        fd::{AsFd as _, AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd, RawFd},
        unix::{
            ffi::OsStrExt as _,
            fs::{FileTypeExt as _, MetadataExt as _, OpenOptionsExt as _},
        },
    },
};

use nix::{
    cmsg_space,
    errno::Errno,
    fcntl::{FcntlArg, OFlag, fcntl},
    poll::{PollFd, PollFlags, PollTimeout, poll},
    sys::{
        prctl,
        signal::{SigSet, SigmaskHow, Signal, kill, sigprocmask},
        signalfd::{SfdFlags, SignalFd},
        socket::{
            self, AddressFamily, ControlMessage, ControlMessageOwned, MsgFlags, SockFlag, SockType,
            UnixAddr,
        },
    },
    unistd::{self, ForkResult, Pid},
};

pub(crate) use confine::{confine, keep_bounding_set};
pub(crate) use landlock::restrict;
pub(crate) use listen::{Heard, answer, hear};
pub(crate) use priority::{nice, set_nice};

use crate::protocol::Message;

/// The most bytes a spawn request may have; more than the kernel takes in one execve(2).
const MAX_REQUEST: u64 = 8 << 20;
/// The highest signal number (signal(7)).
const LAST_SIGNAL: i32 = 64;
/// The device number of `/dev/null` (null(4)): 1:3.
const NULL: u64 = libc::makedev(1, 3);
/// The descriptors of a spawn request.
const MAX_DESCRIPTORS: usize = 5;

fn check(result: i32) -> io::Result<i32> {
    if result < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(result)
    }
}

fn retry<T>(mut call: impl FnMut() -> nix::Result<T>) -> io::Result<T> {
    loop {
        match call() {
            Err(Errno::EINTR) => {}
            result => return Ok(result?),
        }
    }
}

/// PR_SET_DUMPABLE(2const) to 0; an exec of a readable program sets it to 1 again for the apps.
pub(crate) fn forbid_tracing() -> io::Result<()> {
    Ok(prctl::set_dumpable(false)?)
}

/// Blocks SIGCHLD and returns a signalfd(2) for it.
pub(crate) fn child_signals() -> io::Result<SignalFd> {
    let set = SigSet::from(Signal::SIGCHLD);
    set.thread_block()?;
    let flags = SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK;
    Ok(SignalFd::with_flags(&set, flags)?)
}

/// Forgets the signals that have arrived; their processes are found by waitpid(2).
pub(crate) fn clear_signals(signals: &SignalFd) -> io::Result<()> {
    while retry(|| signals.read_signal())?.is_some() {}
    Ok(())
}

/// Takes the connection to the agent from standard input, and gives the standard streams to nobody
/// else.
pub(crate) fn connection_on_stdin(null: &OwnedFd) -> io::Result<OwnedFd> {
    let connection = io::stdin().as_fd().try_clone_to_owned()?;
    unistd::dup2_stdin(null)?;
    unistd::dup2_stdout(null)?;
    unistd::dup2_stderr(null)?;
    Ok(connection)
}

/// Opens the container's `/dev/null`, and nothing else that an app may have put in its place.
pub(crate) fn open_null() -> io::Result<OwnedFd> {
    let file = File::options()
        .read(true)
        .write(true)
        .custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK | libc::O_NOCTTY)
        .open("/dev/null")?;
    let metadata = file.metadata()?;
    if !metadata.file_type().is_char_device() || metadata.rdev() != NULL {
        return Err(io::ErrorKind::InvalidData.into());
    }
    // The apps' standard input, and their output if nobody wants it: as a plain open would have
    // made it.
    fcntl(&file, FcntlArg::F_SETFL(OFlag::empty()))?;
    Ok(file.into())
}

/// Connects to the agent's unix(7) socket.
pub(crate) fn connect(path: &OsStr) -> io::Result<OwnedFd> {
    let (family, kind) = (AddressFamily::Unix, SockType::SeqPacket);
    let socket = socket::socket(family, kind, SockFlag::SOCK_CLOEXEC, None)?;
    let address = UnixAddr::new(path.as_bytes())?;
    retry(|| socket::connect(socket.as_raw_fd(), &address))?;
    Ok(socket)
}

/// Waits until one of them is readable or closed; which ones are.
pub(crate) fn wait_readable<'a>(
    sources: impl Iterator<Item = BorrowedFd<'a>>,
) -> io::Result<Vec<bool>> {
    let mut entries: Vec<_> = sources
        .map(|fd| PollFd::new(fd, PollFlags::POLLIN))
        .collect();
    retry(|| poll(&mut entries, PollTimeout::NONE))?;
    let ready = entries.iter().map(|entry| entry.any() == Some(true));
    Ok(ready.collect())
}

/// Two ends over which a new process hands its listener to the init.
pub(crate) fn handover() -> io::Result<(OwnedFd, OwnedFd)> {
    let (family, kind) = (AddressFamily::Unix, SockType::SeqPacket);
    Ok(socket::socketpair(
        family,
        kind,
        None,
        SockFlag::SOCK_CLOEXEC,
    )?)
}

/// Hands a descriptor over.
pub(crate) fn hand_over(to: &OwnedFd, descriptor: &OwnedFd) -> io::Result<()> {
    let rights = [descriptor.as_raw_fd()];
    let rights = [ControlMessage::ScmRights(&rights)];
    let (parts, flags) = ([IoSlice::new(b"l")], MsgFlags::MSG_NOSIGNAL);
    retry(|| socket::sendmsg::<()>(to.as_raw_fd(), &parts, &rights, flags, None)).map(drop)
}

/// Takes ownership of a descriptor that the kernel has just made for this process.
fn own(raw: RawFd) -> io::Result<OwnedFd> {
    if raw < 0 {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    // SAFETY: the callers pass what a system call has just returned to them.
    Ok(unsafe { OwnedFd::from_raw_fd(raw) })
}

/// Takes one packet and its descriptors; `None` when the agent has closed the connection.
pub(crate) fn receive(agent: &OwnedFd) -> io::Result<Option<(Vec<u8>, Vec<OwnedFd>)>> {
    let mut bytes = [0_u8; 64];
    let mut space = cmsg_space!([RawFd; MAX_DESCRIPTORS]);
    let (count, descriptors) = loop {
        let mut parts = [IoSliceMut::new(&mut bytes)];
        let flags = MsgFlags::MSG_CMSG_CLOEXEC;
        match socket::recvmsg::<()>(agent.as_raw_fd(), &mut parts, Some(&mut space), flags) {
            Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno.into()),
            // Descriptors may be lost where the process may have no more: the request fails then,
            // but nothing else.
            Ok(packet) => {
                let lost = packet.flags.contains(MsgFlags::MSG_CTRUNC);
                let descriptors = if lost {
                    Vec::new()
                } else {
                    descriptors_of(packet.cmsgs()?)
                };
                break (packet.bytes, descriptors);
            }
        }
    };
    Ok((count > 0).then(|| (bytes[..count].to_vec(), descriptors)))
}

fn descriptors_of(messages: impl Iterator<Item = ControlMessageOwned>) -> Vec<OwnedFd> {
    messages
        .filter_map(|message| match message {
            ControlMessageOwned::ScmRights(descriptors) => Some(descriptors),
            _ => None,
        })
        .flatten()
        .filter_map(|fd| own(fd).ok())
        .collect()
}

/// Sends one packet.
pub(crate) fn send(agent: &OwnedFd, message: Message) -> io::Result<()> {
    let bytes = message.encode();
    retry(|| socket::send(agent.as_raw_fd(), &bytes, MsgFlags::MSG_NOSIGNAL)).map(drop)
}

/// The content of a file from its start, up to [`MAX_REQUEST`] bytes.
pub(crate) fn read_whole(file: OwnedFd) -> io::Result<Vec<u8>> {
    let mut file = File::from(file);
    file.rewind()?;
    let mut bytes = Vec::new();
    file.take(MAX_REQUEST).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Sends SIGTERM to every process but this one (kill(2) with -1), and thaws stopped ones so that
/// they see it.
pub(crate) fn terminate_all() {
    for signal in [Signal::SIGTERM, Signal::SIGCONT] {
        // Fails only when there is no other process.
        let _ = kill(Pid::from_raw(-1), signal);
    }
}

/// Sends a signal to a child.
pub(crate) fn signal(child: i32, signal: i32) {
    // By libc: nix knows no real-time signals. Fails only when the child has ended, or for what is
    // no signal.
    // SAFETY: takes plain integers.
    unsafe { libc::kill(child, signal) };
}

/// What waitpid(2) found.
pub(crate) enum Reaped {
    /// A process has ended with a wait status.
    Ended { pid: i32, status: i32 },
    /// Processes run, none has ended.
    NoneEnded,
    /// There is no other process.
    NoneLeft,
}

/// Reaps one process that has ended, if any, without waiting.
pub(crate) fn reap_one() -> io::Result<Reaped> {
    let mut status = 0;
    // By libc: nix knows no real-time signals, one of which may have ended a process.
    // SAFETY: the status is writable.
    match check(unsafe { libc::waitpid(-1, &raw mut status, libc::WNOHANG) }) {
        Ok(0) => Ok(Reaped::NoneEnded),
        Ok(pid) => Ok(Reaped::Ended { pid, status }),
        Err(error) if error.raw_os_error() == Some(libc::ECHILD) => Ok(Reaped::NoneLeft),
        Err(error) => Err(error),
    }
}

/// fork(2); `None` in the new process.
pub(crate) fn fork() -> io::Result<Option<i32>> {
    // SAFETY: the init has one thread, so the child may call anything.
    Ok(match unsafe { unistd::fork() }? {
        ForkResult::Parent { child } => Some(child.as_raw()),
        ForkResult::Child => None,
    })
}

/// Waits for a byte from a pipe; whether one came before its other end was closed.
pub(crate) fn is_released(pipe: &OwnedFd) -> bool {
    retry(|| unistd::read(pipe.as_fd(), &mut [0])).is_ok_and(|count| count == 1)
}

/// Ends the process without running exit handlers of the parent's copy.
pub(crate) fn exit(status: i32) -> ! {
    // SAFETY: takes a plain integer.
    unsafe { libc::_exit(status) }
}

/// Gives a new process its own session, default signals, and its standard streams.
pub(crate) fn prepare_process(streams: [&OwnedFd; 3], is_terminal: bool) -> io::Result<()> {
    unistd::setsid()?;
    // Nothing that this process or those before it have blocked may stay blocked in an app.
    sigprocmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::empty()), None)?;
    // An ignored signal stays ignored after an exec: Rust's runtime ignores SIGPIPE, and who
    // started the agent may have ignored others, real-time ones as well.
    for signal in 1..=LAST_SIGNAL {
        // SAFETY: the default handler is valid; signals that cannot be changed are refused.
        unsafe { libc::signal(signal, libc::SIG_DFL) };
    }
    let [input, output, error] = streams;
    unistd::dup2_stdin(input)?;
    unistd::dup2_stdout(output)?;
    unistd::dup2_stderr(error)?;
    if is_terminal {
        // SAFETY: takes plain integers; 0 takes no terminal away from others (TIOCSCTTY(2const)).
        check(unsafe { libc::ioctl(libc::STDIN_FILENO, libc::TIOCSCTTY, 0) })?;
    }
    Ok(())
}

/// execve(2); returns only if it fails.
pub(crate) fn execute(program: &CStr, arguments: &[CString], environment: &[CString]) -> io::Error {
    match unistd::execve(program, arguments, environment) {
        Ok(never) => match never {},
        Err(errno) => errno.into(),
    }
}
