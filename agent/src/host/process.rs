//! Which process a number means.

use std::{fs, io, os::fd::OwnedFd, process::Child, sync::LazyLock};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal},
};
use serde::{Deserialize, Serialize};

/// A process, written down in a way that means no other one of the same number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct SameProcess {
    /// Its number.
    pub pid: u32,
    started: u64,
}

impl SameProcess {
    /// The one that has the number now; `None` if there is none.
    #[must_use]
    pub fn now(pid: u32) -> Option<Self> {
        let started = start_time(pid)?;
        Some(Self { pid, started })
    }

    /// Whether it has not ended.
    #[must_use]
    pub fn runs(self) -> bool {
        runs(self.pid, self.started)
    }
}

/// A process that somebody else waits for, and of whose number another one may be then.
#[derive(Debug)]
pub struct Watched {
    pid: u32,
    descriptor: OwnedFd,
}

impl Watched {
    /// A child, which nobody can have waited for yet.
    ///
    /// # Errors
    /// From pidfd_open(2).
    pub fn child(child: &Child) -> io::Result<Self> {
        let descriptor = pidfd_open(Pid::from_child(child), PidfdFlags::empty())?;
        let pid = child.id();
        Ok(Self { pid, descriptor })
    }

    /// Its number.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Whether it has ended.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        let mut ended = [PollFd::new(&self.descriptor, PollFlags::IN)];
        let now = Timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };
        // A failure says nothing.
        poll(&mut ended, Some(&now)).is_ok_and(|count| count > 0)
    }

    /// Kills it, if it has not ended.
    pub fn kill(&self) {
        // Fails if it has been waited for.
        let _ = pidfd_send_signal(&self.descriptor, Signal::KILL);
    }
}

/// When a process was started, in clock ticks since the boot (proc_pid_stat(5), `starttime`): no
/// other process of that number was. `None` if there is none.
#[must_use]
pub fn start_time(pid: u32) -> Option<u64> {
    state_and_start(pid).map(|(_, started)| started)
}

/// Whether the process of that number and start time has not ended.
#[must_use]
pub fn runs(pid: u32, started: u64) -> bool {
    // One that only waits to be reaped has.
    state_and_start(pid).is_some_and(|(state, time)| time == started && !"ZX".contains(state))
}

/// What a process does (proc_pid_stat(5), `state`); `None` if there is none.
#[must_use]
pub fn state(pid: u32) -> Option<char> {
    state_and_start(pid).map(|(state, _)| state)
}

/// Fields 3 and 22, `state` and `starttime` (proc_pid_stat(5)).
fn state_and_start(pid: u32) -> Option<(char, u64)> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The program's name, the second field, may hold anything.
    let (_, rest) = text.rsplit_once(')')?;
    let mut fields = rest.split_whitespace();
    let state = fields.next()?.chars().next()?;
    Some((state, fields.nth(22 - 3 - 1)?.parse().ok()?))
}

/// The number of this boot of the system (random(4), `boot_id`); empty if the kernel has none.
#[must_use]
pub fn boot() -> &'static str {
    static BOOT: LazyLock<String> = LazyLock::new(|| {
        let text = fs::read_to_string("/proc/sys/kernel/random/boot_id");
        text.unwrap_or_default().trim().to_owned()
    });
    &BOOT
}

#[cfg(test)]
mod tests {
    use std::{
        process::{Command, Stdio},
        time::Duration,
    };

    use super::*;
    use crate::host::wait;

    #[test]
    fn a_watched_process_is_known_to_have_ended_also_when_its_number_is_free() {
        let mut child = Command::new("cat").stdin(Stdio::piped()).spawn().unwrap();
        let watched = Watched::child(&child).unwrap();
        assert_eq!(watched.pid(), child.id());
        assert!(!watched.has_ended());
        watched.kill();
        assert!(!child.wait().unwrap().success());
        assert!(watched.has_ended());
        watched.kill();
    }

    #[test]
    fn a_process_has_a_time_of_its_own_and_runs_until_it_ends() {
        let own = start_time(std::process::id()).unwrap();
        let mut child = Command::new("cat").stdin(Stdio::piped()).spawn().unwrap();
        let started = start_time(child.id()).unwrap();
        assert!(started >= own);
        assert!(runs(child.id(), started));
        assert!(!runs(child.id(), started + 1));
        child.kill().unwrap();
        let limit = Duration::from_secs(20);
        assert!(wait::until(limit, || !runs(child.id(), started)));
        assert_eq!(start_time(child.id()), Some(started));
        child.wait().unwrap();
        assert_eq!(start_time(child.id()), None);
    }
}
