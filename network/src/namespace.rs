//! Does a piece of work inside another network namespace.

use std::{io, os::fd::BorrowedFd};

use nix::sched::{CloneFlags, setns};

use crate::thread::{self, ThreadError};

/// Why a network namespace could not be entered.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NamespaceError {
    /// The work was not done.
    #[error("cannot work in a network namespace")]
    Thread(#[from] ThreadError),
    /// setns(2) failed.
    #[error("cannot enter the network namespace")]
    Enter(#[source] io::Error),
}

/// Runs `work` in a thread of its own that has joined `namespace`, and waits for it.
///
/// Sockets that it opens and processes that it starts belong to that namespace, and so does what it
/// sees in `/proc/sys/net`. The thread ends afterwards, so that no other work can land in the wrong
/// namespace.
///
/// # Errors
/// [`NamespaceError`], source setns(2).
pub fn inside<T, F>(namespace: BorrowedFd<'_>, work: F) -> Result<T, NamespaceError>
where
    T: Send,
    F: FnOnce() -> T + Send,
{
    thread::in_own("netns", || {
        setns(namespace, CloneFlags::CLONE_NEWNET)
            .map_err(|errno| NamespaceError::Enter(errno.into()))?;
        Ok(work())
    })
}
