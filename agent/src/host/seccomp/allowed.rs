//! What decides on filters.

use std::{collections::BTreeSet, path::PathBuf};

use softwarecontainer_capability::privilege::SystemCall;

/// A file that says which system calls containers are kept from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum SeccompFile {
    /// The installed one, or, where none is installed, the agent's own copy.
    #[default]
    Default,
    /// None.
    Off,
    /// This one.
    File(PathBuf),
}

/// What filters leave open.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Allowed {
    /// System calls that manifests have opened.
    pub system_calls: BTreeSet<SystemCall>,
    /// The process has CAP_NET_RAW for ICMP only.
    pub raw_icmp: bool,
}

impl Allowed {
    /// Whether there are ways to sockets that no filter sees.
    #[must_use]
    pub fn bypasses_filters(&self) -> bool {
        self.system_calls.contains(&SystemCall::IoUringSetup)
    }
}
