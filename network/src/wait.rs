//! Waiting for descriptors, with a limit.

use std::{
    io,
    os::fd::BorrowedFd,
    time::{Duration, Instant},
};

use nix::{
    errno::Errno,
    poll::{PollFd, PollFlags, PollTimeout, poll},
};

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
