//! Waiting, with a limit.

use std::{
    io,
    os::fd::{AsFd as _, BorrowedFd, OwnedFd},
    thread,
    time::{Duration, Instant},
};

use nix::{
    errno::Errno,
    poll::{PollFd, PollFlags, PollTimeout, poll},
};

/// The pause between two looks at what tells of no change by itself.
const PAUSE: Duration = Duration::from_micros(500);

/// Looks until `done`, `limit` at most; whether it was. For what no descriptor tells of.
pub fn until(limit: Duration, mut done: impl FnMut() -> bool) -> bool {
    let deadline = Instant::now() + limit;
    loop {
        if done() {
            return true;
        }
        if Instant::now() >= deadline {
            return false;
        }
        thread::sleep(PAUSE);
    }
}

/// Waits until one of `fds` is ready (poll(2)); the positions of those that are, none when `limit`
/// is over.
///
/// # Errors
/// The system's.
pub fn any_ready<const N: usize>(
    fds: [(BorrowedFd<'_>, PollFlags); N],
    limit: Duration,
) -> io::Result<[bool; N]> {
    let deadline = Instant::now() + limit;
    let mut entries = fds.map(|(fd, flags)| PollFd::new(fd, flags));
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let timeout = PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX);
        match poll(&mut entries, timeout) {
            Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno.into()),
            Ok(_) => {
                let ready = |entry: PollFd<'_>| entry.revents().is_some_and(|it| !it.is_empty());
                return Ok(entries.map(ready));
            }
        }
    }
}

/// Waits until `fd` is ready; false when `limit` is over.
///
/// # Errors
/// The system's.
pub fn ready(fd: BorrowedFd<'_>, flags: PollFlags, limit: Duration) -> io::Result<bool> {
    any_ready([(fd, flags)], limit).map(|[ready]| ready)
}

/// As [`ready`], with an error of kind `TimedOut` when `limit` is over.
///
/// # Errors
/// The system's, and that.
pub fn ready_in_time(fd: BorrowedFd<'_>, flags: PollFlags, limit: Duration) -> io::Result<()> {
    if ready(fd, flags, limit)? {
        return Ok(());
    }
    Err(io::ErrorKind::TimedOut.into())
}

/// Waits until the process behind a descriptor has ended (pidfd_open(2)); false when it has not
/// within `limit`.
pub fn ended(process: &OwnedFd, limit: Duration) -> bool {
    ready(process.as_fd(), PollFlags::POLLIN, limit).unwrap_or(false)
}
