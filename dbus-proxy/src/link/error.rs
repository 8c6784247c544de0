//! Why a link ends.

use rustix::io::Errno;

use crate::{flow::FlowError, sasl::AuthError};

/// Why a link ends before its client does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum LinkError {
    /// The client does not authenticate properly.
    #[error("authentication of a client")]
    Client(#[source] AuthError),
    /// The bus does not.
    #[error("authentication to the bus")]
    Bus(#[source] AuthError),
    /// The client sends what is no message.
    #[error("data of a client")]
    FromClient(#[source] FlowError),
    /// The bus does.
    #[error("data of the bus")]
    FromBus(#[source] FlowError),
    /// Descriptors came during the authentication.
    #[error("file descriptors before the authentication ended")]
    EarlyDescriptors,
    /// The bus cannot be connected to.
    #[error("connecting to the bus")]
    Connect(#[source] Errno),
    /// recvmsg(2) or sendmsg(2) failed.
    #[error("socket of a client")]
    Socket(#[source] Errno),
    /// Something took too long.
    #[error("{0} took too long")]
    TimeOut(&'static str),
}
