//! What ends a proxy.

use rustix::io::Errno;

/// Why the proxy ends although the agent wants it to go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ServerError {
    /// epoll(7) failed.
    #[error("epoll")]
    Epoll(#[source] Errno),
    /// The control socket failed.
    #[error("control socket")]
    Control(#[source] Errno),
    /// The agent sent what is no command.
    #[error("control socket: unknown command")]
    Command,
}
