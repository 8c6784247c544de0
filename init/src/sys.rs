//! Thin wrappers around the system calls of the init. One thread, so fork(2) is safe to follow with
//! anything.

mod confine;

use std::{
    ffi::{CStr, CString, c_char},
    fs::File,
    io::{self, Read as _, Seek as _},
    mem,
    os::{
        fd::{AsRawFd as _, FromRawFd as _, OwnedFd, RawFd},
        unix::fs::{FileTypeExt as _, MetadataExt as _, OpenOptionsExt as _},
    },
    ptr,
};

pub(crate) use confine::{confine, keep_bounding_set};

use crate::protocol::Message;

/// The most bytes a spawn request may have; more than the kernel takes in one execve(2).
const MAX_REQUEST: u64 = 8 << 20;
/// The highest signal number (signal(7)).
const LAST_SIGNAL: i32 = 64;
/// The device number of `/dev/null` (null(4)): 1:3.
const NULL: u64 = libc::makedev(1, 3);
/// The descriptors of a spawn request.
const MAX_DESCRIPTORS: usize = 2;

fn check(result: i32) -> io::Result<i32> {
    if result < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(result)
    }
}

fn retry(mut call: impl FnMut() -> i32) -> io::Result<i32> {
    loop {
        match check(call()) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}

/// PR_SET_DUMPABLE(2const) to 0; an exec of a readable program sets it to 1 again for the apps.
pub(crate) fn forbid_tracing() -> io::Result<()> {
    // SAFETY: takes plain integers.
    check(unsafe { libc::prctl(libc::PR_SET_DUMPABLE, 0, 0, 0, 0) }).map(drop)
}

/// Blocks SIGCHLD and returns a signalfd(2) for it.
pub(crate) fn child_signals() -> io::Result<OwnedFd> {
    let set = child_set();
    // SAFETY: the set is initialised, and no old mask is asked for.
    check(unsafe { libc::sigprocmask(libc::SIG_BLOCK, &raw const set, ptr::null_mut()) })?;
    // SAFETY: the set is initialised; -1 asks for a new descriptor.
    let fd = check(unsafe {
        libc::signalfd(-1, &raw const set, libc::SFD_CLOEXEC | libc::SFD_NONBLOCK)
    })?;
    // SAFETY: a new descriptor that nobody else owns.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

fn empty_set() -> libc::sigset_t {
    // SAFETY: a signal set is plain data; sigemptyset sets all of it.
    let mut set: libc::sigset_t = unsafe { mem::zeroed() };
    // SAFETY: the set is writable.
    unsafe { libc::sigemptyset(&raw mut set) };
    set
}

fn child_set() -> libc::sigset_t {
    let mut set = empty_set();
    // SAFETY: the set is initialised and the signal number valid.
    unsafe { libc::sigaddset(&raw mut set, libc::SIGCHLD) };
    set
}

/// Forgets the signals that have arrived; their processes are found by waitpid(2).
pub(crate) fn clear_signals(signals: &OwnedFd) -> io::Result<()> {
    let mut buffer = [0_u8; 512];
    loop {
        // SAFETY: the buffer is writable for its whole length.
        let count = unsafe {
            libc::read(
                signals.as_raw_fd(),
                buffer.as_mut_ptr().cast(),
                buffer.len(),
            )
        };
        if count < 0 {
            let error = io::Error::last_os_error();
            return match error.kind() {
                io::ErrorKind::WouldBlock => Ok(()),
                io::ErrorKind::Interrupted => continue,
                _ => Err(error),
            };
        }
    }
}

/// Takes the connection to the agent from standard input, and gives the standard streams to nobody
/// else.
pub(crate) fn connection_on_stdin(null: &OwnedFd) -> io::Result<OwnedFd> {
    // SAFETY: takes plain integers.
    let fd = check(unsafe { libc::fcntl(0, libc::F_DUPFD_CLOEXEC, 3) })?;
    // SAFETY: a new descriptor that nobody else owns.
    let connection = unsafe { OwnedFd::from_raw_fd(fd) };
    for stream in 0..3 {
        // SAFETY: both are valid; these are this process's own standard streams.
        check(unsafe { libc::dup2(null.as_raw_fd(), stream) })?;
    }
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
    // made it. SAFETY: takes plain integers.
    check(unsafe { libc::fcntl(file.as_raw_fd(), libc::F_SETFL, 0) })?;
    Ok(file.into())
}

/// Connects to the agent's unix(7) socket.
pub(crate) fn connect(path: &CStr) -> io::Result<OwnedFd> {
    // SAFETY: takes plain integers.
    let fd = check(unsafe {
        libc::socket(libc::AF_UNIX, libc::SOCK_SEQPACKET | libc::SOCK_CLOEXEC, 0)
    })?;
    // SAFETY: a new descriptor that nobody else owns.
    let socket = unsafe { OwnedFd::from_raw_fd(fd) };
    // SAFETY: a socket address is plain data.
    let mut address: libc::sockaddr_un = unsafe { mem::zeroed() };
    address.sun_family = libc::AF_UNIX.try_into().unwrap_or_default();
    let bytes = path.to_bytes_with_nul();
    if bytes.len() > address.sun_path.len() {
        return Err(io::Error::from_raw_os_error(libc::ENAMETOOLONG));
    }
    for (to, &from) in address.sun_path.iter_mut().zip(bytes) {
        *to = c_char::from_ne_bytes([from]);
    }
    let length = u32::try_from(mem::size_of_val(&address)).unwrap_or_default();
    // SAFETY: the address is initialised and of the length given.
    retry(|| unsafe { libc::connect(fd, (&raw const address).cast(), length) })?;
    Ok(socket)
}

/// Waits until one of the two is readable or closed; which of them.
pub(crate) fn wait_readable(agent: &OwnedFd, signals: &OwnedFd) -> io::Result<(bool, bool)> {
    let entry = |fd: &OwnedFd| libc::pollfd {
        fd: fd.as_raw_fd(),
        events: libc::POLLIN,
        revents: 0,
    };
    let mut entries = [entry(agent), entry(signals)];
    // SAFETY: the array has two initialised entries.
    retry(|| unsafe { libc::poll(entries.as_mut_ptr(), 2, -1) })?;
    Ok((entries[0].revents != 0, entries[1].revents != 0))
}

/// Space for the control message of [`MAX_DESCRIPTORS`] descriptors, aligned as cmsg(3) wants it.
#[repr(align(8))]
struct Control([u8; 64]);

/// Takes one packet and its descriptors; `None` when the agent has closed the connection.
pub(crate) fn receive(agent: &OwnedFd) -> io::Result<Option<(Vec<u8>, Vec<OwnedFd>)>> {
    let mut bytes = [0_u8; 64];
    let mut control = Control([0; 64]);
    let mut part = libc::iovec {
        iov_base: bytes.as_mut_ptr().cast(),
        iov_len: bytes.len(),
    };
    // SAFETY: a message header is plain data.
    let mut header: libc::msghdr = unsafe { mem::zeroed() };
    header.msg_iov = &raw mut part;
    header.msg_iovlen = 1;
    header.msg_control = control.0.as_mut_ptr().cast();
    header.msg_controllen = control.0.len() as _;
    let count = loop {
        // SAFETY: the header points to buffers that are alive, writable and of the lengths given.
        let count =
            unsafe { libc::recvmsg(agent.as_raw_fd(), &raw mut header, libc::MSG_CMSG_CLOEXEC) };
        match usize::try_from(count) {
            Ok(count) => break count,
            Err(_) => match io::Error::last_os_error() {
                error if error.kind() == io::ErrorKind::Interrupted => {}
                error => return Err(error),
            },
        }
    };
    let mut descriptors = Vec::new();
    // SAFETY: the kernel filled the header.
    let mut next = unsafe { libc::CMSG_FIRSTHDR(&raw const header) };
    // SAFETY: CMSG_FIRSTHDR and CMSG_NXTHDR return NULL or a whole control message in our buffer.
    while let Some(message) = unsafe { next.as_ref() } {
        if message.cmsg_level == libc::SOL_SOCKET && message.cmsg_type == libc::SCM_RIGHTS {
            // SAFETY: the control message is whole.
            let data = unsafe { libc::CMSG_DATA(next) }.cast::<RawFd>();
            let header_size = data as usize - next as usize;
            let count = message.cmsg_len.saturating_sub(header_size) / mem::size_of::<RawFd>();
            for index in 0..count {
                // SAFETY: the kernel wrote `count` descriptors at `data`.
                let place = unsafe { data.add(index) };
                // SAFETY: as above; the place need not be aligned for the type.
                let fd = unsafe { ptr::read_unaligned(place) };
                // SAFETY: a received descriptor is new and ours.
                descriptors.push(unsafe { OwnedFd::from_raw_fd(fd) });
            }
        }
        // SAFETY: both point into the same live header and buffer.
        next = unsafe { libc::CMSG_NXTHDR(&raw const header, next) };
    }
    if count == 0 || descriptors.len() > MAX_DESCRIPTORS {
        return Ok(None);
    }
    Ok(Some((bytes[..count].to_vec(), descriptors)))
}

/// Sends one packet.
pub(crate) fn send(agent: &OwnedFd, message: Message) -> io::Result<()> {
    let bytes = message.encode();
    loop {
        // SAFETY: the buffer is readable for its whole length.
        let sent = unsafe {
            libc::send(
                agent.as_raw_fd(),
                bytes.as_ptr().cast(),
                bytes.len(),
                libc::MSG_NOSIGNAL,
            )
        };
        if sent >= 0 {
            return Ok(());
        }
        let error = io::Error::last_os_error();
        if error.kind() != io::ErrorKind::Interrupted {
            return Err(error);
        }
    }
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
    for signal in [libc::SIGTERM, libc::SIGCONT] {
        // SAFETY: takes plain integers; fails only when there is no other process.
        unsafe { libc::kill(-1, signal) };
    }
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
    // SAFETY: the status is writable.
    match retry(|| unsafe { libc::waitpid(-1, &raw mut status, libc::WNOHANG) }) {
        Ok(0) => Ok(Reaped::NoneEnded),
        Ok(pid) => Ok(Reaped::Ended { pid, status }),
        Err(error) if error.raw_os_error() == Some(libc::ECHILD) => Ok(Reaped::NoneLeft),
        Err(error) => Err(error),
    }
}

/// fork(2).
pub(crate) fn fork() -> io::Result<i32> {
    // SAFETY: the init has one thread, so the child may call anything.
    check(unsafe { libc::fork() })
}

/// Ends the process without running exit handlers of the parent's copy.
pub(crate) fn exit(status: i32) -> ! {
    // SAFETY: takes a plain integer.
    unsafe { libc::_exit(status) }
}

/// Gives a new process its own session, default signals, and its standard streams.
pub(crate) fn prepare_process(null: &OwnedFd, output: &OwnedFd) -> io::Result<()> {
    // SAFETY: a new process is no group leader, so this cannot fail.
    unsafe { libc::setsid() };
    // Nothing that this process or those before it have blocked may stay blocked in an app.
    let set = empty_set();
    // SAFETY: the set is initialised.
    check(unsafe { libc::sigprocmask(libc::SIG_SETMASK, &raw const set, ptr::null_mut()) })?;
    // An ignored signal stays ignored after an exec: Rust's runtime ignores SIGPIPE, and who
    // started the agent may have ignored others.
    for signal in 1..=LAST_SIGNAL {
        // SAFETY: the default handler is valid; signals that cannot be changed are refused.
        unsafe { libc::signal(signal, libc::SIG_DFL) };
    }
    for (from, to) in [
        (null.as_raw_fd(), 0),
        (output.as_raw_fd(), 1),
        (output.as_raw_fd(), 2),
    ] {
        // SAFETY: both are valid; 0 to 2 hold nothing that this process still uses.
        check(unsafe { libc::dup2(from, to) })?;
    }
    Ok(())
}

/// execve(2); returns only if it fails.
pub(crate) fn execute(program: &CStr, arguments: &[CString], environment: &[CString]) -> io::Error {
    let pointers = |texts: &[CString]| -> Vec<*const c_char> {
        texts
            .iter()
            .map(|text| text.as_ptr())
            .chain([ptr::null()])
            .collect()
    };
    let (arguments, environment) = (pointers(arguments), pointers(environment));
    // SAFETY: NULL-terminated arrays of strings that outlive the call.
    unsafe { libc::execve(program.as_ptr(), arguments.as_ptr(), environment.as_ptr()) };
    io::Error::last_os_error()
}
