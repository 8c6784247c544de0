//! Does a piece of work inside another network namespace.

use std::fmt;
use std::io;
use std::os::fd::BorrowedFd;
use std::thread;

use nix::sched::{CloneFlags, setns};

/// Why a network namespace could not be entered.
#[derive(Debug)]
#[non_exhaustive]
pub enum NamespaceError {
    /// No thread could be started for the work.
    Thread(io::Error),
    /// setns(2) failed.
    Enter(io::Error),
    /// The work panicked.
    Panicked,
}

impl fmt::Display for NamespaceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Thread(source) => {
                write!(f, "cannot start a thread for a network namespace: {source}")
            }
            Self::Enter(source) => write!(f, "cannot enter the network namespace: {source}"),
            Self::Panicked => f.write_str("the work in the network namespace panicked"),
        }
    }
}

impl std::error::Error for NamespaceError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Thread(source) | Self::Enter(source) => Some(source),
            Self::Panicked => None,
        }
    }
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
