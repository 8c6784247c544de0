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

/// Registers a listening socket, and tells whether the server knows security contexts. Takes no
/// longer than `patience`.
///
/// # Errors
/// [`RegisterError`]
pub fn register(
    program: &Path,
    start: impl FnOnce(&mut Command) -> io::Result<Child>,
    sockets: &Sockets<'_>,
    context: &Context,
    patience: Duration,
) -> Result<bool, RegisterError> {
    let (control, theirs) = UnixStream::pair().map_err(RegisterError::NoAnswer)?;
    let mut command = Command::new(program);
    command
        .env_clear()
        .current_dir("/")
        .stdin(Stdio::from(std::os::fd::OwnedFd::from(theirs)))
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let mut child = start(&mut command).map_err(|source| RegisterError::Start {
        program: program.to_owned(),
        source,
    })?;
    // It keeps the program's end of the socket, which would not be seen to close.
    drop(command);
    let answer = ask(&control, sockets, context, patience);
    // It has ended, or is to.
    let _ = child.kill();
    let _ = child.wait();
    match answer.map_err(RegisterError::NoAnswer)? {
        Answer::Registered => Ok(true),
        Answer::NotOffered => Ok(false),
        Answer::Failed(why) => Err(RegisterError::Refused(why)),
    }
}

fn ask(
    control: &UnixStream,
    sockets: &Sockets<'_>,
    context: &Context,
    patience: Duration,
) -> io::Result<Answer> {
    control.set_read_timeout(Some(patience))?;
    let sockets = [sockets.server, sockets.listener, sockets.until_closed];
    message::send_request(control.as_fd(), context, sockets)?;
    message::receive_answer(control.as_fd())
}
