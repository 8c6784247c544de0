//! The agent's side: starts the program for one registration.

use std::{
    io,
    os::{
        fd::{AsFd as _, BorrowedFd},
        unix::net::UnixStream,
    },
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use thiserror::Error;

use crate::message::{self, Answer, Context};

/// Why a socket could not be registered.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum RegisterError {
    /// The program cannot be started.
    #[error("cannot start {}", program.display())]
    Start {
        /// Its file.
        program: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The program does not get its task, or does not answer.
    #[error("no answer from the server")]
    NoAnswer(#[source] io::Error),
    /// The server refuses, or is none.
    #[error("no security context is registered: {0}")]
    Refused(String),
}

/// The sockets of a registration.
#[derive(Debug)]
pub struct Sockets<'a> {
    /// Connected to the server.
    pub server: BorrowedFd<'a>,
    /// Where the app's clients connect. The server accepts them.
    pub listener: BorrowedFd<'a>,
    /// For as long as its other end is open.
    pub until_closed: BorrowedFd<'a>,
}

/// A registration under way. The program ends with this value.
#[derive(Debug)]
pub struct Registering {
    child: Child,
    control: UnixStream,
}

impl Registering {
    /// Starts the program and tells it what to do.
    ///
    /// # Errors
    /// [`RegisterError`]
    pub fn start(
        program: &Path,
        start: impl FnOnce(&mut Command) -> io::Result<Child>,
        sockets: &Sockets<'_>,
        context: &Context,
    ) -> Result<Self, RegisterError> {
        let (control, theirs) = UnixStream::pair().map_err(RegisterError::NoAnswer)?;
        let mut command = Command::new(program);
        command
            .env_clear()
            .current_dir("/")
            .stdin(Stdio::from(std::os::fd::OwnedFd::from(theirs)))
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let child = start(&mut command).map_err(|source| RegisterError::Start {
            program: program.to_owned(),
            source,
        })?;
        // It keeps the program's end of the socket, which would not be seen to close.
        drop(command);
        let started = Self { child, control };
        let sockets = [sockets.server, sockets.listener, sockets.until_closed];
        message::send_request(started.control.as_fd(), context, sockets)
            .map_err(RegisterError::NoAnswer)?;
        Ok(started)
    }

    /// Whether the server knows security contexts; then it is registered. `None`: the answer takes
    /// longer.
    ///
    /// # Errors
    /// [`RegisterError`]
    pub fn wait(&self, patience: Duration) -> Result<Option<bool>, RegisterError> {
        let answer = self
            .control
            .set_read_timeout(Some(patience))
            .and_then(|()| message::receive_answer(self.control.as_fd()));
        match answer {
            Ok(Answer::Registered) => Ok(Some(true)),
            Ok(Answer::NotOffered) => Ok(Some(false)),
            Ok(Answer::Failed(why)) => Err(RegisterError::Refused(why)),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
            Err(error) => Err(RegisterError::NoAnswer(error)),
        }
    }

    /// Closed by the program once it has answered.
    pub fn control(&self) -> BorrowedFd<'_> {
        self.control.as_fd()
    }
}

impl Drop for Registering {
    fn drop(&mut self) {
        // It has ended, or is to.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
