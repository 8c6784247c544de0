//! Signals for this program while a command runs in a container.

use std::io;

use nix::sys::{
    signal::{SigSet, Signal},
    signalfd::{SfdFlags, SignalFd},
};
use smol::Async;

use crate::error::Error;

/// Those that are handled: the terminal has another size, or this program is to end.
const HANDLED: [Signal; 4] = [
    Signal::SIGWINCH,
    Signal::SIGINT,
    Signal::SIGTERM,
    Signal::SIGHUP,
];

/// The signals that come.
pub struct Signals(Async<SignalFd>);

impl Signals {
    /// Blocks them in this thread and in those it starts, so that only the descriptor gets them.
    ///
    /// # Errors
    /// The system's.
    pub fn block() -> Result<Self, Error> {
        let failed = |errno: nix::Error| Error::Signals(errno.into());
        let set: SigSet = HANDLED.into_iter().collect();
        set.thread_block().map_err(failed)?;
        let flags = SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK;
        let descriptor = SignalFd::with_flags(&set, flags).map_err(failed)?;
        Async::new(descriptor).map(Self).map_err(Error::Signals)
    }

    /// The next one.
    ///
    /// # Errors
    /// The system's.
    pub async fn next(&self) -> Result<i32, Error> {
        let read = self
            .0
            .read_with(|descriptor| match descriptor.read_signal() {
                Ok(Some(signal)) => Ok(signal.ssi_signo.cast_signed()),
                Ok(None) => Err(io::ErrorKind::WouldBlock.into()),
                Err(errno) => Err(errno.into()),
            });
        read.await.map_err(Error::Signals)
    }
}

/// Whether it says that the terminal has another size.
pub fn is_resize(signal: i32) -> bool {
    signal == Signal::SIGWINCH as i32
}
