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

/// Waits until one of `fds` can be read (poll(2)); the positions of those that can, none when
/// `limit` is over.
pub(crate) fn any_readable<const N: usize>(
    fds: [BorrowedFd<'_>; N],
    limit: Duration,
) -> io::Result<[bool; N]> {
    let deadline = Instant::now() + limit;
    let mut entries = fds.map(|fd| PollFd::new(fd, PollFlags::POLLIN));
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
