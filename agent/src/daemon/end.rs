//! What ends the agent, and whether another one follows.

use std::{env, io, time::Duration};

use nix::sys::{
    signal::{SigSet, Signal},
    signalfd::{SfdFlags, SignalFd},
};
use smol::{Async, Timer};
use zbus::{Connection, OwnedObjectPath, OwnedVariant};

/// The status with which an agent ends that is to be started again at once, from the program file
/// that is there then (EX_TEMPFAIL, sysexits.h).
pub const REPLACE: u8 = 75;

/// What has systemd for its manager finds this socket in `NOTIFY_SOCKET` (sd_notify(3)).
const NOTIFY_OF_SYSTEMD: &str = "/run/systemd/";
/// How long systemd may take to say what it does.
const PATIENCE: Duration = Duration::from_secs(2);
const SYSTEMD: &str = "org.freedesktop.systemd1";
const PROPERTIES: &str = "org.freedesktop.DBus.Properties";

/// Why the agent ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// It was asked to.
    Stop,
    /// It is to be started again, to end with [`REPLACE`].
    Replace,
}

/// The signals that end the agent.
pub(super) struct StopSignals(SignalFd);

impl StopSignals {
    /// Blocks them in this thread, and those that it starts.
    ///
    /// # Errors
    /// From pthread_sigmask(3) and signalfd(2).
    pub(super) fn block() -> io::Result<Self> {
        let set = SigSet::from_iter([Signal::SIGTERM, Signal::SIGINT, Signal::SIGUSR2]);
        set.thread_block()?;
        let flags = SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK;
        Ok(Self(SignalFd::with_flags(&set, flags)?))
    }

    /// Returns when one of them has come. Without somebody who keeps its containers an agent is not
    /// replaced.
    ///
    /// # Errors
    /// From read(2).
    pub(super) async fn requested(self, can_keep: bool) -> io::Result<End> {
        let signals = Async::new_nonblocking(self.0)?;
        loop {
            signals.readable().await?;
            let Some(signal) = signals.get_ref().read_signal()? else {
                continue;
            };
            if i32::try_from(signal.ssi_signo) != Ok(Signal::SIGUSR2 as i32) {
                log::info!("stopping");
                return Ok(End::Stop);
            }
            if can_keep {
                log::info!("another agent goes on");
                return Ok(End::Replace);
            }
            log::warn!("not replaced: nobody keeps descriptors for the agent (FDSTORE)");
        }
    }
}

/// Whether systemd stops the agent for good, as at the end of the system, rather than to start it
/// again: it closes then what it keeps for it. Where it does not say, it may.
pub(super) async fn stops_for_good(session: bool, bus: &Connection) -> bool {
    let socket = env::var("NOTIFY_SOCKET").unwrap_or_default();
    if !socket.starts_with(NOTIFY_OF_SYSTEMD) {
        return false;
    }
    if session {
        return true;
    }
    let asked = async { job_of_own_unit(bus).await.ok() };
    let late = async {
        Timer::after(PATIENCE).await;
        None
    };
    match smol::future::or(asked, late).await {
        // Without a job somebody else has sent a signal.
        Some(job) => job.is_some_and(|job| !job.contains("restart")),
        None => true,
    }
}

/// What systemd does with the agent's unit, such as `stop` or `restart`
/// (org.freedesktop.systemd1(5)).
async fn job_of_own_unit(bus: &Connection) -> zbus::Result<Option<String>> {
    let manager = "/org/freedesktop/systemd1";
    let interface = Some("org.freedesktop.systemd1.Manager");
    let pid = std::process::id();
    let unit = bus.call_method(Some(SYSTEMD), manager, interface, "GetUnitByPID", &pid);
    let unit: OwnedObjectPath = unit.await?.body().deserialize()?;
    let job = property(bus, &unit, "org.freedesktop.systemd1.Unit", "Job").await?;
    let (number, job): (u32, OwnedObjectPath) = job.try_into()?;
    if number == 0 {
        return Ok(None);
    }
    let kind = property(bus, &job, "org.freedesktop.systemd1.Job", "JobType").await?;
    Ok(Some(kind.try_into()?))
}

async fn property(
    bus: &Connection,
    path: &OwnedObjectPath,
    interface: &str,
    name: &str,
) -> zbus::Result<OwnedVariant> {
    let which = (interface, name);
    let reply = bus.call_method(Some(SYSTEMD), path, Some(PROPERTIES), "Get", &which);
    reply.await?.body().deserialize()
}
