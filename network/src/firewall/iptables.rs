//! Runs iptables-restore(8), iptables-save(8) and their IPv6 twins in the calling thread's network
//! namespace.
//!
//! A restore replaces what it names in one atomic step, with both variants of iptables (legacy and
//! nft).

use std::{
    io::{self, ErrorKind, Read, Write},
    os::fd::AsFd,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use nix::{
    errno::Errno,
    poll::{PollFd, PollFlags, PollTimeout, poll},
};

use super::{Family, generation::Commits};
use crate::nfnetlink::NfnetlinkError;

/// Seconds to wait for the lock that the legacy variant takes.
const LOCK_TIMEOUT: &str = "5";

/// Where the programs are; the agent itself has no `PATH`, see main.
pub(super) const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

impl Family {
    /// The program that loads rules of this family.
    fn restore_program(self) -> &'static str {
        match self {
            Self::V4 => "iptables-restore",
            Self::V6 => "ip6tables-restore",
        }
    }

    /// The program that prints rules of this family.
    fn save_program(self) -> &'static str {
        match self {
            Self::V4 => "iptables-save",
            Self::V6 => "ip6tables-save",
        }
    }
}

/// A firewall program that could not do its work.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FirewallError {
    /// The program could not be started, fed or waited for.
    #[error("cannot run {program}")]
    Run {
        /// Name of the program.
        program: &'static str,
        /// Why.
        source: io::Error,
    },
    /// The program refused the rules; nothing was changed.
    #[error("{program} refused the rules: {message}")]
    Refused {
        /// Name of the program.
        program: &'static str,
        /// What it wrote to stderr, on one line.
        message: String,
    },
    /// nf_tables could not be asked, or refused the rules; nothing was changed.
    #[error(transparent)]
    Netfilter(#[from] NfnetlinkError),
}

impl FirewallError {
    /// Whether the rules were understood, and refused.
    pub(super) fn is_refusal(&self) -> bool {
        matches!(
            self,
            Self::Refused { .. } | Self::Netfilter(NfnetlinkError::Refused { .. })
        )
    }
}

/// Loads rules, of both families side by side, with one process each, and returns when they are in
/// force. What they do not name stays as it is (`--noflush`).
///
/// The nft variant, when all is done, waits for about ten milliseconds until the kernel has freed
/// the old rules. The kernel's word that its change is complete is enough: its process is left to
/// end by itself. Closing the socket that listens waits in the same way.
///
/// # Errors
/// The first [`FirewallError`]; nothing was changed in that family then.
pub(super) fn restore(rules: &[(Family, &str)]) -> Result<(), FirewallError> {
    let commits = Commits::listen();
    let mut result = Ok(());
    let (mut running, mut complete) = (Vec::new(), Vec::new());
    for (family, text) in rules {
        match Restore::start(*family, text) {
            Ok(restore) => running.push(restore),
            Err(error) => result = result.and(Err(error)),
        }
    }
    let end = Instant::now() + LIMIT;
    while !running.is_empty() {
        let ready = match wait(commits.as_ref(), &running, end) {
            Ok(ready) => ready,
            Err(source) => {
                for restore in running {
                    result = result.and(Err(restore.give_up(source)));
                }
                break;
            }
        };
        // From the end, so that the positions of those before stay.
        for index in ready.ended.into_iter().rev() {
            result = result.and(running.swap_remove(index).finish());
        }
        for process in ready.committed {
            let Some(index) = running
                .iter()
                .position(|restore| restore.child.id() == process)
            else {
                continue;
            };
            if let Some(restore) = running.get_mut(index) {
                restore.commits_left = restore.commits_left.saturating_sub(1);
                if restore.commits_left == 0 {
                    complete.push(running.swap_remove(index));
                }
            }
        }
    }
    if !complete.is_empty() {
        finish_later(complete, commits);
    }
    result
}

/// Lets a thread wait for the ends of processes whose work is done.
fn finish_later(complete: Vec<Restore>, commits: Option<Commits>) {
    let finish = move || {
        for restore in complete {
            if let Err(error) = restore.finish() {
                log::error!("after its rules were in force, {error}");
            }
        }
        drop(commits);
    };
    if let Err(error) = thread::Builder::new()
        .name("iptables".to_owned())
        .spawn(finish)
    {
        // The children stay zombies until the agent ends; their rules are in force nevertheless.
        log::error!("cannot start a thread to wait for firewall programs: {error}");
    }
}

/// How long a restore may take; more than the lock's time-out.
const LIMIT: Duration = Duration::from_secs(10);

/// What has happened to some restores.
struct Ready {
    /// Positions of those that have ended or said something, in order.
    ended: Vec<usize>,
    /// Processes whose changes are complete.
    committed: Vec<u32>,
}

fn wait(commits: Option<&Commits>, running: &[Restore], end: Instant) -> Result<Ready, ErrorKind> {
    let mut descriptors: Vec<PollFd<'_>> = running
        .iter()
        .filter_map(|restore| restore.child.stderr.as_ref())
        .map(|stderr| PollFd::new(stderr.as_fd(), PollFlags::POLLIN))
        .collect();
    if let Some(commits) = commits {
        descriptors.push(PollFd::new(commits.as_fd(), PollFlags::POLLIN));
    }
    let left = end.saturating_duration_since(Instant::now());
    let left = PollTimeout::try_from(left).unwrap_or(PollTimeout::ZERO);
    match poll(&mut descriptors, left) {
        Ok(0) => return Err(ErrorKind::TimedOut),
        Err(Errno::EINTR) | Ok(_) => {}
        Err(_) => return Err(ErrorKind::Other),
    }
    let is_ready = |one: &PollFd<'_>| one.revents().is_some_and(|events| !events.is_empty());
    let (children, listening) = descriptors.split_at(running.len());
    let ended = children.iter().enumerate().filter(|(_, one)| is_ready(one));
    Ok(Ready {
        ended: ended.map(|(index, _)| index).collect(),
        committed: commits
            .filter(|_| listening.iter().any(is_ready))
            // If something was lost the processes' ends will tell.
            .and_then(Commits::read)
            .unwrap_or_default(),
    })
}

/// A restore under way.
#[derive(Debug)]
struct Restore {
    program: &'static str,
    child: Child,
    /// Each table is a change of its own.
    commits_left: usize,
}

impl Restore {
    fn start(family: Family, rules: &str) -> Result<Self, FirewallError> {
        let program = family.restore_program();
        let run = |source| FirewallError::Run { program, source };
        let mut child = Command::new(program)
            .args(["-w", LOCK_TIMEOUT, "--noflush"])
            .env("PATH", PATH)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(run)?;
        let written = child
            .stdin
            .take()
            .map_or(Ok(()), |mut stdin| stdin.write_all(rules.as_bytes()));
        let restore = Self {
            program,
            child,
            commits_left: rules.lines().filter(|line| *line == "COMMIT").count(),
        };
        match written {
            // It stopped reading because of an error, which its status and stderr will tell.
            Err(error) if error.kind() != ErrorKind::BrokenPipe => {
                Err(restore.give_up(error.kind()))
            }
            _ => Ok(restore),
        }
    }

    /// Waits for the end.
    fn finish(mut self) -> Result<(), FirewallError> {
        let program = self.program;
        let run = |source| FirewallError::Run { program, source };
        let mut message = String::new();
        let read = match self.child.stderr.take() {
            Some(mut stderr) => stderr.read_to_string(&mut message).map(drop),
            None => Ok(()),
        };
        let status = self.child.wait().map_err(run)?;
        read.map_err(run)?;
        if status.success() {
            return Ok(());
        }
        let message = message
            .lines()
            .map(str::trim)
            .collect::<Vec<_>>()
            .join("; ");
        let message = if message.is_empty() {
            status.to_string()
        } else {
            message
        };
        Err(FirewallError::Refused { program, message })
    }

    fn give_up(mut self, why: ErrorKind) -> FirewallError {
        let _ = self.child.kill();
        let _ = self.child.wait();
        FirewallError::Run {
            program: self.program,
            source: why.into(),
        }
    }
}

/// The rules of one family in the form of iptables-save(8).
///
/// # Errors
/// [`FirewallError`].
pub(super) fn save(family: Family) -> Result<String, FirewallError> {
    save_with(family, &[])
}

/// The same, with what each rule has counted.
///
/// # Errors
/// [`FirewallError`].
pub(super) fn save_with_counters(family: Family) -> Result<String, FirewallError> {
    save_with(family, &["-c"])
}

fn save_with(family: Family, options: &[&str]) -> Result<String, FirewallError> {
    let program = family.save_program();
    let output = Command::new(program)
        .args(options)
        .env("PATH", PATH)
        .stdin(Stdio::null())
        .output()
        .map_err(|source| FirewallError::Run { program, source })?;
    if !output.status.success() {
        let message = String::from_utf8_lossy(&output.stderr)
            .trim()
            .replace('\n', "; ");
        return Err(FirewallError::Refused { program, message });
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
