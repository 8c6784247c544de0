//! What state a container is in.

/// What may be done with a container.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Everything but Resume.
    Ready,
    /// Only Resume and Destroy.
    Suspended,
    /// Only Destroy: an earlier call failed in LXC, or the container has ended by itself.
    Invalid,
}

/// The state of a container as those see it who look at it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// Everything can be done with it.
    Ready,
    /// Its processes are frozen.
    Suspended,
    /// Its first process has ended, and with it all others.
    Ended,
    /// A call on it failed; it can only be destroyed.
    Invalid,
    /// It is being destroyed.
    Destroying,
    /// It is gone.
    Destroyed,
}

impl Status {
    /// What it is called on the bus.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::Suspended => "suspended",
            Self::Ended => "ended",
            Self::Invalid => "invalid",
            Self::Destroying => "destroying",
            Self::Destroyed => "destroyed",
        }
    }
}

/// Why a container is in its state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// A launcher asked for it.
    Call,
    /// What a launcher asked for failed.
    Failure,
    /// Its first process ended, though nobody had asked for that.
    ByItself,
    /// The kernel killed its processes because memory was short.
    OutOfMemory,
    /// The last process that a launcher started has ended (`destroy-when-ended`).
    ProcessesEnded,
    /// The connection to the bus that it was bound to is closed.
    CreatorLeft,
    /// The agent stops.
    AgentStops,
}

impl Reason {
    /// What it is called on the bus.
    pub fn name(self) -> &'static str {
        match self {
            Self::Call => "call",
            Self::Failure => "failure",
            Self::ByItself => "by-itself",
            Self::OutOfMemory => "out-of-memory",
            Self::ProcessesEnded => "processes-ended",
            Self::CreatorLeft => "creator-left",
            Self::AgentStops => "agent-stops",
        }
    }
}
