//! Why a process has ended, and what to change: for people who wonder why an app dies.

use std::time::SystemTime;

/// How many ends of processes are remembered of a container.
pub(super) const REMEMBERED: usize = 16;

/// How a process has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// By itself, with an exit status.
    Exit,
    /// By a signal.
    Signal,
    /// The kernel has killed it because memory was short.
    OutOfMemory,
    /// It made a system call that ends whoever makes it.
    SystemCall,
}

impl Cause {
    /// What has become of the process, for the log.
    pub fn words(self) -> &'static str {
        match self {
            Self::Exit => "has ended",
            Self::Signal => "was ended by a signal",
            Self::OutOfMemory => "was killed: out of memory",
            Self::SystemCall => "was ended for a system call",
        }
    }

    /// What it is called on the bus.
    pub fn name(self) -> &'static str {
        match self {
            Self::Exit => "exit",
            Self::Signal => "signal",
            Self::OutOfMemory => "out-of-memory",
            Self::SystemCall => "system-call",
        }
    }
}

/// What is known of the end of a process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ending {
    /// Its wait status (waitpid(2)).
    pub status: i32,
    /// How it came.
    pub cause: Cause,
    /// The system calls that it, or what descends from it, wanted to make and may not.
    pub calls: Vec<String>,
    /// It could not have as many processes as it wanted.
    pub short_of_tasks: bool,
}

impl Ending {
    /// Of a process with a wait status, if the kernel has `killed` it for memory.
    pub fn of(status: i32, killed: bool, calls: Vec<String>, short_of_tasks: bool) -> Self {
        let signal = libc::WIFSIGNALED(status).then(|| libc::WTERMSIG(status));
        let cause = match signal {
            None => Cause::Exit,
            Some(libc::SIGKILL) if killed => Cause::OutOfMemory,
            Some(libc::SIGSYS) => Cause::SystemCall,
            Some(_) => Cause::Signal,
        };
        Self {
            status,
            cause,
            calls,
            short_of_tasks,
        }
    }

    /// It was nobody's wish.
    pub fn is_failure(&self) -> bool {
        self.status != 0
    }

    /// The kernel has written a core file, or piped it somewhere.
    pub fn has_core(&self) -> bool {
        libc::WIFSIGNALED(self.status) && libc::WCOREDUMP(self.status)
    }

    /// What a person could change, if that is known.
    pub fn advice(&self) -> Option<String> {
        let mut advice = Vec::new();
        if self.cause == Cause::OutOfMemory {
            advice.push(
                "give it more memory: memory.limit_in_bytes of the cgroups gateway, or \
                 max-memory-share of the configuration"
                    .to_owned(),
            );
        }
        if self.is_failure() && self.short_of_tasks {
            advice.push(
                "let it have more processes: pids.max of the cgroups gateway, or max-processes of \
                 the configuration"
                    .to_owned(),
            );
        }
        if self.is_failure() && !self.calls.is_empty() {
            advice.push(format!(
                "see whether it needs {}: the privileges gateway opens some system calls",
                self.calls.join(", ")
            ));
        }
        (!advice.is_empty()).then(|| advice.join("; "))
    }
}

/// An end that is remembered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    /// The process ID on the host.
    pub pid: u32,
    /// The beginning of its command line.
    pub command: String,
    /// When it ended.
    pub time: SystemTime,
    /// How.
    pub ending: Ending,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(status: i32, killed: bool) -> Cause {
        Ending::of(status, killed, Vec::new(), false).cause
    }

    #[test]
    fn the_cause_is_told_by_the_wait_status_and_what_the_kernel_counts() {
        assert_eq!(of(0, false), Cause::Exit);
        assert_eq!(of(3 << 8, true), Cause::Exit);
        assert_eq!(of(libc::SIGKILL, true), Cause::OutOfMemory);
        assert_eq!(of(libc::SIGKILL, false), Cause::Signal);
        assert_eq!(of(libc::SIGSEGV | 0x80, true), Cause::Signal);
        assert_eq!(of(libc::SIGSYS, false), Cause::SystemCall);
    }

    #[test]
    fn advice_is_for_those_who_failed() {
        let calls = || vec!["userfaultfd".to_owned()];
        assert_eq!(Ending::of(0, false, calls(), true).advice(), None);
        let advice = Ending::of(256, false, calls(), true).advice().unwrap();
        assert!(advice.contains("userfaultfd") && advice.contains("max-processes"));
        let advice = Ending::of(9, true, Vec::new(), false).advice().unwrap();
        assert!(advice.contains("memory.limit_in_bytes"), "{advice}");
        assert_eq!(Ending::of(9, false, Vec::new(), false).advice(), None);
    }
}
