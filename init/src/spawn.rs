//! The way from a spawn request to a running program.

use std::{
    ffi::{CStr, CString, OsStr},
    io,
    os::{fd::OwnedFd, unix::ffi::OsStrExt as _},
    path::PathBuf,
};

use crate::{
    missing,
    protocol::{Command, Kind, Message},
    sys,
};

/// A process about to be started.
pub(crate) struct Child<'a> {
    pub(crate) command: &'a Command,
    pub(crate) streams: Streams<'a>,
    pub(crate) agent: &'a OwnedFd,
    /// What it has of the init's priority.
    pub(crate) nice: i32,
    /// Where the agent says that it may go on.
    pub(crate) release: &'a OwnedFd,
    pub(crate) process: u32,
    /// Where the init takes over a listener of the process's system calls.
    pub(crate) init: Option<&'a OwnedFd>,
}

/// The standard streams of a new process.
pub(crate) struct Streams<'a> {
    /// Input, output and error.
    pub(crate) descriptors: [&'a OwnedFd; 3],
    /// Input is the terminal that controls the process.
    pub(crate) is_terminal: bool,
}

/// The streams that come with a request ([`Kind::Spawn`]); `None` if descriptors are missing.
pub(crate) fn given(
    streams: i32,
    mut descriptors: impl Iterator<Item = OwnedFd>,
) -> Option<[Option<OwnedFd>; 3]> {
    if streams == 0 {
        let output = descriptors.next();
        let error = output.as_ref().map(OwnedFd::try_clone).transpose().ok()?;
        return Some([None, output, error]);
    }
    let mut given = [None, None, None];
    for (stream, place) in given.iter_mut().enumerate() {
        if streams & 1 << stream != 0 {
            *place = Some(descriptors.next()?);
        }
    }
    Some(given)
}

/// The exit status of a command that exists but cannot be executed, as in POSIX shells.
const NOT_EXECUTABLE: i32 = 126;
/// The exit status of a command that does not exist, as in POSIX shells.
const NOT_FOUND: i32 = 127;
/// What executes a script that does not say what does (execvp(3)).
const SHELL: &CStr = c"/bin/sh";

impl Child<'_> {
    /// Starts the process; its ID in the container.
    pub(crate) fn fork(&self) -> io::Result<i32> {
        match sys::fork()? {
            None => sys::exit(self.become_program()),
            Some(pid) => Ok(pid),
        }
    }

    /// Runs in the new process; returns the exit status if the program cannot be executed.
    fn become_program(&self) -> i32 {
        let confinement = &self.command.confinement;
        if let Err(error) = sys::prepare_process(self.streams.descriptors, self.streams.is_terminal)
            .and_then(|()| sys::confine(confinement, self.init))
        {
            return self.refuse(Kind::Failed, &error);
        }
        if !self.command.directory.is_empty()
            && let Err(error) =
                std::env::set_current_dir(OsStr::from_bytes(self.command.directory.as_bytes()))
        {
            return self.refuse(Kind::NoDirectory, &error);
        }
        // The agent learns the process ID from this packet's credentials, so it must come from
        // here.
        if sys::send(
            self.agent,
            Message {
                kind: Kind::Started,
                process: self.process,
                value: 0,
            },
        )
        .is_err()
        {
            return NOT_EXECUTABLE;
        }
        // It has seen to what only the host can; or it is gone, and nobody would hear of this.
        if !sys::is_released(self.release) {
            return NOT_EXECUTABLE;
        }
        // Not before: among an app's threads that packet could wait for minutes.
        let failure = match sys::set_nice(self.nice) {
            Ok(()) => self.execute(&self.command.arguments[0]),
            Err(error) => Failure::System(error),
        };
        self.report(&failure)
    }

    /// Says why the program could not be executed; the exit status.
    fn report(&self, failure: &Failure) -> i32 {
        let program = self.command.arguments[0].to_string_lossy();
        match failure {
            Failure::Interpreter { of, missing } => {
                // Escaped, because the usual reason is a line that ends like those of DOS.
                let missing = missing.to_string_lossy();
                eprintln!(
                    "softwarecontainer: {}: interpreter of {} not found",
                    missing.escape_debug(),
                    of.display()
                );
                NOT_FOUND
            }
            Failure::NotFound if self.command.if_missing.is_empty() => {
                eprintln!("softwarecontainer: {program}: {}", no_such_file());
                NOT_FOUND
            }
            Failure::NotFound => {
                let remark = self.command.if_missing.to_string_lossy();
                eprintln!("softwarecontainer: {program}: {}; {remark}", no_such_file());
                NOT_FOUND
            }
            Failure::System(error) => {
                eprintln!("softwarecontainer: {program}: {error}");
                NOT_EXECUTABLE
            }
        }
    }

    fn refuse(&self, kind: Kind, error: &io::Error) -> i32 {
        let value = error.raw_os_error().unwrap_or(libc::EINVAL);
        // Nobody is left to tell if the agent is gone.
        let _ = sys::send(
            self.agent,
            Message {
                kind,
                process: self.process,
                value,
            },
        );
        NOT_EXECUTABLE
    }

    /// Executes `program`, looked up like execvp(3) does but in the new environment's `PATH`.
    fn execute(&self, program: &CStr) -> Failure {
        if program.to_bytes().contains(&b'/') {
            return self.try_one(program);
        }
        let path = self
            .command
            .environment
            .iter()
            .find_map(|text| text.to_bytes().strip_prefix(b"PATH="))
            .unwrap_or_default();
        let mut result = Failure::NotFound;
        for directory in path
            .split(|&byte| byte == b':')
            .filter(|directory| !directory.is_empty())
        {
            let Ok(candidate) = CString::new([directory, b"/", program.to_bytes()].concat()) else {
                continue;
            };
            match self.try_one(&candidate) {
                Failure::NotFound => {}
                Failure::System(error) if error.raw_os_error() == Some(libc::ENOTDIR) => {}
                Failure::System(error) if error.raw_os_error() == Some(libc::EACCES) => {
                    result = Failure::System(error);
                }
                failure @ Failure::Interpreter { .. } => {
                    if matches!(result, Failure::NotFound) {
                        result = failure;
                    }
                }
                failure => return failure,
            }
        }
        result
    }

    fn try_one(&self, program: &CStr) -> Failure {
        let (arguments, environment) = (&self.command.arguments, &self.command.environment);
        let error = sys::execute(program, arguments, environment);
        match error.raw_os_error() {
            Some(libc::ENOENT) => match missing::interpreter(&path_of(program)) {
                Some((missing, of)) => Failure::Interpreter { of, missing },
                None => Failure::NotFound,
            },
            Some(libc::ENOEXEC) if missing::is_text(&path_of(program)) => self.by_shell(program),
            _ => Failure::System(error),
        }
    }

    /// A script whose first line names no interpreter is the shell's, as with execvp(3).
    fn by_shell(&self, program: &CStr) -> Failure {
        let (arguments, environment) = (&self.command.arguments, &self.command.environment);
        let mut by_shell = vec![SHELL.to_owned(), program.to_owned()];
        by_shell.extend(arguments.iter().skip(1).cloned());
        let error = sys::execute(SHELL, &by_shell, environment);
        match error.raw_os_error() {
            Some(libc::ENOENT) => Failure::Interpreter {
                of: path_of(program),
                missing: path_of(SHELL),
            },
            _ => Failure::System(error),
        }
    }
}

/// Why a program could not be executed.
#[derive(Debug)]
enum Failure {
    /// There is no such file.
    NotFound,
    /// The file `of` is there, but what is to run it is not.
    Interpreter { of: PathBuf, missing: PathBuf },
    /// execve(2) failed for another reason.
    System(io::Error),
}

fn path_of(program: &CStr) -> PathBuf {
    PathBuf::from(OsStr::from_bytes(program.to_bytes()))
}

fn no_such_file() -> io::Error {
    io::Error::from_raw_os_error(libc::ENOENT)
}
