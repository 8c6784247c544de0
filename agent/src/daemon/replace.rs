//! Has the agent that runs go over to another program file: it leaves its containers, and the
//! service manager starts the next one.

use std::{
    io,
    sync::Arc,
    time::{Duration, Instant},
};

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use smol::{Executor, Timer};
use thiserror::Error;
use zbus::Connection;

use crate::bus;

/// How long the next agent may take to be there.
const PATIENCE: Duration = Duration::from_secs(60);
/// How often it is looked whether it is.
const PAUSE: Duration = Duration::from_millis(50);

/// Why the agent was not replaced.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ReplaceError {
    /// There is no bus.
    #[error("D-Bus")]
    Bus(#[source] zbus::Error),
    /// Nobody has the agent's name.
    #[error("no agent runs")]
    NoAgent,
    /// It could not be told.
    #[error("cannot signal the agent, process {0}")]
    Signal(u32, #[source] io::Error),
    /// No other agent has come.
    #[error(
        "the agent was not replaced within {} s: its log says whether a service manager keeps its \
         descriptors",
        PATIENCE.as_secs()
    )]
    Late,
}

/// Replaces the agent on the system or the session bus, and returns when the next one is there.
///
/// # Errors
/// [`ReplaceError`].
pub fn replace(session: bool) -> Result<(), ReplaceError> {
    let executor = Arc::new(Executor::new());
    smol::block_on(executor.run(async {
        let bus = bus::connect(session, executor.clone()).await;
        replace_on(&bus.map_err(ReplaceError::Bus)?).await
    }))
}

async fn replace_on(bus: &Connection) -> Result<(), ReplaceError> {
    let before = bus::owner(bus).await.ok_or(ReplaceError::NoAgent)?;
    let process = bus::process_of(bus, &before).await;
    let process = process.ok_or(ReplaceError::NoAgent)?;
    signal(process).map_err(|source| ReplaceError::Signal(process, source))?;
    let deadline = Instant::now() + PATIENCE;
    while Instant::now() < deadline {
        Timer::after(PAUSE).await;
        if bus::owner(bus).await.is_some_and(|now| now != before) {
            return Ok(());
        }
    }
    Err(ReplaceError::Late)
}

fn signal(process: u32) -> io::Result<()> {
    let pid = i32::try_from(process).ok().and_then(Pid::from_raw);
    let pid = pid.ok_or(io::ErrorKind::NotFound)?;
    let process = pidfd_open(pid, PidfdFlags::empty())?;
    Ok(pidfd_send_signal(&process, Signal::USR2)?)
}
