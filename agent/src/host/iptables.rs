//! Runs iptables-restore(8), iptables-save(8) and their IPv6 twins in the calling thread's network namespace.
//!
//! A restore replaces what it names in one atomic step; these programs work with both variants of
//! iptables (legacy and nft), which an own netlink encoder would not.

use std::fmt;
use std::io::{self, Read, Write};
use std::process::{Child, Command, Stdio};

/// Seconds to wait for the lock that the legacy variant takes.
const LOCK_TIMEOUT: &str = "5";

/// An address family.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Family {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

impl Family {
    /// The program that loads rules of this family.
    #[must_use]
    pub fn restore_program(self) -> &'static str {
        match self {
            Self::V4 => "iptables-restore",
            Self::V6 => "ip6tables-restore",
        }
    }

    /// The program that prints rules of this family.
    #[must_use]
    pub fn save_program(self) -> &'static str {
        match self {
            Self::V4 => "iptables-save",
            Self::V6 => "ip6tables-save",
        }
    }
}

/// A firewall program that could not do its work.
#[derive(Debug)]
#[non_exhaustive]
pub enum FirewallError {
    /// The program could not be started, fed or waited for.
    Run {
        /// Name of the program.
        program: &'static str,
        /// Why.
        source: io::Error,
    },
    /// The program refused the rules; nothing was changed.
    Refused {
        /// Name of the program.
        program: &'static str,
        /// What it wrote to stderr, on one line.
        message: String,
    },
}

impl fmt::Display for FirewallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Run { program, source } => write!(f, "cannot run {program}: {source}"),
            Self::Refused { program, message } => {
                write!(f, "{program} refused the rules: {message}")
            }
        }
    }
}

impl std::error::Error for FirewallError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Run { source, .. } => Some(source),
            Self::Refused { .. } => None,
        }
    }
}

/// A restore under way, so that those of both families can run side by side.
#[derive(Debug)]
#[must_use = "a restore has to be waited for"]
pub struct Restore {
    program: &'static str,
    child: Child,
}

impl Restore {
    /// Starts to load `rules`. What they do not name stays as it is (`--noflush`).
    ///
    /// # Errors
    /// [`FirewallError::Run`].
    pub fn start(family: Family, rules: &str) -> Result<Self, FirewallError> {
        let program = family.restore_program();
        let run = |source| FirewallError::Run { program, source };
        let mut child = Command::new(program)
            .args(["-w", LOCK_TIMEOUT, "--noflush"])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(run)?;
        if let Some(mut stdin) = child.stdin.take() {
            match stdin.write_all(rules.as_bytes()) {
                Ok(()) => {}
                // It stopped reading because of an error, which its status and stderr will tell.
                Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {}
                Err(error) => {
                    drop(stdin);
                    let _ = child.kill();
                    let _ = child.wait();
                    return Err(run(error));
                }
            }
        }
        Ok(Self { program, child })
    }

    /// Waits for the end.
    ///
    /// # Errors
    /// [`FirewallError`]; nothing was changed then.
    pub fn finish(mut self) -> Result<(), FirewallError> {
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
}

/// Loads rules of one family and waits.
///
/// # Errors
/// [`FirewallError`]; nothing was changed then.
pub fn restore(family: Family, rules: &str) -> Result<(), FirewallError> {
    Restore::start(family, rules)?.finish()
}

/// The rules of one family in the form of iptables-save(8).
///
/// # Errors
/// [`FirewallError`].
pub fn save(family: Family) -> Result<String, FirewallError> {
    let program = family.save_program();
    let output = Command::new(program)
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
