//! The way from a spawn request to a running program.

use std::{
    ffi::{CStr, CString},
    io,
    os::{fd::OwnedFd, unix::ffi::OsStrExt as _},
};

use crate::{
    protocol::{Command, Kind, Message},
    sys,
};

/// A process about to be started.
pub(crate) struct Child<'a> {
    pub(crate) command: &'a Command,
    pub(crate) null: &'a OwnedFd,
    pub(crate) output: &'a OwnedFd,
    pub(crate) agent: &'a OwnedFd,
    pub(crate) process: u32,
}

/// The exit status of a command that exists but cannot be executed, as in POSIX shells.
const NOT_EXECUTABLE: i32 = 126;
/// The exit status of a command that does not exist, as in POSIX shells.
const NOT_FOUND: i32 = 127;

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
        if let Err(error) =
            sys::prepare_process(self.null, self.output).and_then(|()| sys::confine(confinement))
        {
            return self.refuse(Kind::Failed, &error);
        }
        if !self.command.directory.is_empty()
            && let Err(error) = std::env::set_current_dir(std::ffi::OsStr::from_bytes(
                self.command.directory.as_bytes(),
            ))
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
        let program = &self.command.arguments[0];
        let error = self.execute(program);
        eprintln!("softwarecontainer: {}: {error}", program.to_string_lossy());
        if error.raw_os_error() == Some(libc::ENOENT) {
            NOT_FOUND
        } else {
            NOT_EXECUTABLE
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
    fn execute(&self, program: &CStr) -> io::Error {
        let (arguments, environment) = (&self.command.arguments, &self.command.environment);
        if program.to_bytes().contains(&b'/') {
            return sys::execute(program, arguments, environment);
        }
        let path = environment
            .iter()
            .find_map(|text| text.to_bytes().strip_prefix(b"PATH="))
            .unwrap_or_default();
        let mut result = io::Error::from_raw_os_error(libc::ENOENT);
        for directory in path
            .split(|&byte| byte == b':')
            .filter(|directory| !directory.is_empty())
        {
            let Ok(candidate) = CString::new([directory, b"/", program.to_bytes()].concat()) else {
                continue;
            };
            let error = sys::execute(&candidate, arguments, environment);
            match error.raw_os_error() {
                Some(libc::ENOENT | libc::ENOTDIR) => {}
                Some(libc::EACCES) => result = error,
                _ => return error,
            }
        }
        result
    }
}
