//! The proxy process, as the agent starts it.

use std::{
    io,
    os::{
        fd::OwnedFd,
        unix::{fs::MetadataExt, net::UnixStream, process::CommandExt},
    },
    process::{Child, Command, Stdio},
};

use rustix::{
    event::{PollFd, PollFlags, poll},
    io::Errno,
    process::Signal,
};

use super::{error::ClientError, options::Options};
use crate::{address::SocketAddress, control::Bus};

/// A proxy process.
#[derive(Debug)]
pub(super) enum Process {
    /// Our child.
    Child(Child),
    /// A child of an agent that has ended (pidfd_open(2)).
    Left(OwnedFd),
}

impl Process {
    /// Ends it, if it has not ended; tells how it ended.
    pub(super) fn end(&mut self) -> String {
        match self {
            Self::Child(child) => {
                // Either fails only if the process has been reaped, and only we reap it.
                let _ = child.kill();
                child
                    .wait()
                    .map_or_else(|error| error.to_string(), |status| status.to_string())
            }
            Self::Left(process) => {
                // Fails if it has ended.
                let _ = rustix::process::pidfd_send_signal(&*process, Signal::KILL);
                let mut ended = [PollFd::new(&*process, PollFlags::IN)];
                while poll(&mut ended, None) == Err(Errno::INTR) {}
                "the agent before has started it".to_owned()
            }
        }
    }
}

/// Starts the process and returns it with our end of its control socket.
pub(super) fn spawn(options: &Options) -> Result<(Child, UnixStream), ClientError> {
    let failed = |source: io::Error| ClientError::Start {
        program: options.program.clone(),
        source,
    };
    let (ours, theirs) = UnixStream::pair().map_err(failed)?;
    let mut command = Command::new(&options.program);
    command
        .arg("--uid")
        .arg(options.system.uid.to_string())
        .arg("--gid")
        .arg(options.gid.to_string())
        .arg("--connections")
        .arg(options.connections.to_string())
        .arg("--pending-calls")
        .arg(options.pending_calls.to_string())
        .arg("--system-bus")
        .arg(options.system.address.to_string());
    if let Some(session) = &options.session {
        command
            .arg("--session-uid")
            .arg(session.uid.to_string())
            .arg("--session-bus")
            .arg(session.address.to_string());
    }
    command
        .env_clear()
        .current_dir("/")
        .stdin(Stdio::from(OwnedFd::from(theirs)))
        .stdout(Stdio::null())
        // A signal from the agent's terminal is the agent's affair.
        .process_group(0);
    let child = (options.spawn.0)(&mut command).map_err(failed)?;
    Ok((child, ours))
}

/// Which socket is at the address of a bus: its device, inode number and time of change. A proxy
/// sees the one that was there when it started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SocketIdentity(pub Option<(u64, u64, i64, i64)>);

impl SocketIdentity {
    pub(super) fn now(options: &Options, bus: Bus) -> Self {
        let access = match bus {
            Bus::Session => options.session.as_ref(),
            Bus::System => Some(&options.system),
        };
        let Some(SocketAddress::Path(path)) = access.map(|access| &access.address) else {
            return Self(None);
        };
        let data = std::fs::metadata(path).ok();
        Self(data.map(|data| (data.dev(), data.ino(), data.ctime(), data.ctime_nsec())))
    }
}
