//! Does a piece of work inside another network namespace.

use std::{io, os::fd::BorrowedFd, thread};

use nix::sched::{CloneFlags, setns};

/// Why a network namespace could not be entered.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NamespaceError {
    /// No thread could be started for the work.
    #[error("cannot start a thread for a network namespace")]
    Thread(#[source] io::Error),
    /// setns(2) failed.
    #[error("cannot enter the network namespace")]
    Enter(#[source] io::Error),
    /// The work panicked.
    #[error("the work in the network namespace panicked")]
    Panicked,
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
    thread::scope(|scope| {
        thread::Builder::new()
            .name("netns".to_owned())
            .spawn_scoped(scope, || {
                setns(namespace, CloneFlags::CLONE_NEWNET)
                    .map_err(|errno| NamespaceError::Enter(errno.into()))?;
                Ok(work())
            })
            .map_err(NamespaceError::Thread)?
            .join()
            .unwrap_or(Err(NamespaceError::Panicked))
    })
}
