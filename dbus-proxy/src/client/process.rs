//! The proxy process, as the agent starts it.

use std::{
    io,
    os::{
        fd::OwnedFd,
        unix::{fs::MetadataExt, net::UnixStream, process::CommandExt},
    },
    process::{Child, Command, Stdio},
};

use super::{error::ClientError, options::Options};
use crate::{address::SocketAddress, control::Bus};

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

/// Which socket is at the address of a bus. A proxy sees the one that was there when it started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct SocketIdentity(Option<(u64, u64, i64, i64)>);

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
