//! The terminal that this program runs at.

use std::{io, os::fd::AsFd};

use rustix::termios::{
    OptionalActions, Termios, Winsize, isatty, tcgetattr, tcgetwinsize, tcsetattr, tcsetwinsize,
};

use crate::error::Error;

/// The terminal at standard input, which passes every key on until this is dropped.
pub struct Raw {
    before: Termios,
}

impl Raw {
    /// Whether there is one.
    pub fn is_there() -> bool {
        isatty(io::stdin())
    }

    /// Has every key passed on as it is (cfmakeraw(3)).
    ///
    /// # Errors
    /// The system's.
    pub fn enter() -> Result<Self, Error> {
        let failed = |errno: rustix::io::Errno| Error::Terminal(errno.into());
        let before = tcgetattr(io::stdin()).map_err(failed)?;
        let mut raw = before.clone();
        raw.make_raw();
        tcsetattr(io::stdin(), OptionalActions::Drain, &raw).map_err(failed)?;
        Ok(Self { before })
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        // Nothing can be done about an error.
        let _ = tcsetattr(io::stdin(), OptionalActions::Drain, &self.before);
    }
}

/// Its size: columns and rows.
///
/// # Errors
/// The system's.
pub fn size() -> Result<(u16, u16), Error> {
    let size = tcgetwinsize(io::stdin()).map_err(|errno| Error::Terminal(errno.into()))?;
    Ok((size.ws_col, size.ws_row))
}

/// Gives another terminal the size of this one.
///
/// # Errors
/// The system's.
pub fn pass_size_on(to: impl AsFd) -> Result<(), Error> {
    let (ws_col, ws_row) = size()?;
    let size = Winsize {
        ws_col,
        ws_row,
        ws_xpixel: 0,
        ws_ypixel: 0,
    };
    tcsetwinsize(to, size).map_err(|errno| Error::Terminal(errno.into()))
}
