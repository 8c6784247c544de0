//! Waiting, with a limit.

use std::{
    io,
    os::fd::{AsFd as _, BorrowedFd, OwnedFd},
    thread,
    time::{Duration, Instant},
};

use nix::poll::PollFlags;
pub use softwarecontainer_network::wait::any_ready;

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
