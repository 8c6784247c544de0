//! By what a container and a process are known later: their IDs are used again.
//!
//! A container is known by the agent on the bus that made it; or, if that agent was replaced by one
//! that took over its containers, by the app's process and when that was started.

use serde_json::{Value, json};

/// A container of this launcher, or of one before it.
#[derive(Debug, Clone, PartialEq)]
pub struct Made {
    /// Its ID.
    pub container: i32,
    /// The agent that made it: its name on the bus, which no other gets, and the bus.
    agent: String,
}

/// A process of the host, told from those that get its number later.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Process {
    /// Its ID.
    pub pid: i32,
    /// When it was started, in ticks since the system's start (proc_pid_stat(5)), if it is known.
    started: Option<u64>,
}

impl Made {
    /// A container that an [agent](crate::agent::Agent::instance) has just made.
    pub fn new(agent: String, container: i32) -> Self {
        Self { container, agent }
    }

    /// Whether this agent made it.
    pub fn is_of(&self, agent: &str) -> bool {
        self.agent == agent
    }

    /// As a note has it.
    pub fn to_json(&self) -> Value {
        json!({ "id": self.container, "agent": self.agent })
    }

    /// From a note.
    pub fn from_json(value: &Value) -> Option<Self> {
        Some(Self {
            container: value.get("id")?.as_i64()?.try_into().ok()?,
            agent: value.get("agent")?.as_str()?.to_owned(),
        })
    }
}

impl Process {
    /// A process, which may have ended already.
    pub fn new(pid: i32) -> Self {
        let started = started(pid);
        Self { pid, started }
    }

    /// Whether it is certain that it still runs.
    pub fn runs(self) -> bool {
        self.started.is_some() && self.started == started(self.pid)
    }

    /// As a note has it.
    pub fn to_json(self) -> Value {
        json!({ "id": self.pid, "started": self.started })
    }

    /// From a note.
    pub fn from_json(value: &Value) -> Option<Self> {
        Some(Self {
            pid: value.get("id")?.as_i64()?.try_into().ok()?,
            started: value.get("started")?.as_u64(),
        })
    }
}

/// When a process was started, unless it has ended or this user may not know.
fn started(pid: i32) -> Option<u64> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The second field is a name in parentheses that may hold anything; the time is the 22nd.
    let (_, fields) = text.rsplit_once(") ")?;
    fields.split(' ').nth(19)?.parse().ok()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;

    #[test]
    fn a_process_that_has_ended_runs_no_more_whoever_has_its_number() {
        let mut child = std::process::Command::new("sleep")
            .arg("60")
            .spawn()
            .unwrap();
        let process = Process::new(i32::try_from(child.id()).unwrap());
        assert!(process.runs());
        assert_eq!(Process::from_json(&process.to_json()), Some(process));
        let successor = Process {
            started: process.started.map(|ticks| ticks + 1),
            ..process
        };
        assert!(!successor.runs());
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(!process.runs());
        assert!(!Process::new(process.pid).runs());
    }
}
