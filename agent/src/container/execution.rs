//! What is to start in a container, and what then runs.

use std::{borrow::Cow, collections::BTreeMap, os::fd::OwnedFd, path::PathBuf, sync::Arc};

use super::{
    processes::{Number, Processes},
    streams::Streams,
};
use crate::host::{credentials::Credentials, terminal::Size};

/// A program and its arguments.
#[derive(Debug)]
pub enum Program {
    /// A command line, split like a shell does.
    Line(String),
    /// One by one.
    Arguments(Vec<String>),
}

impl Program {
    /// What is shown of it.
    pub(super) fn line(&self) -> Cow<'_, str> {
        match self {
            Self::Line(line) => line.into(),
            Self::Arguments(arguments) => arguments.join(" ").into(),
        }
    }
}

/// What is to start.
#[derive(Debug)]
pub struct Execution {
    /// The program.
    pub program: Program,
    /// The working directory in the container, empty for its root.
    pub working_directory: String,
    /// The host file for standard output and error, empty for none.
    pub output_file: PathBuf,
    /// Variables that win over those of the gateways.
    pub environment: BTreeMap<String, String>,
    /// Who asks for it; `None` when that is not known, which only goes without an output file.
    pub caller: Option<Credentials>,
    /// Standard streams, if there is no output file.
    pub streams: Streams,
    /// A terminal of the container's own instead of them.
    pub terminal: Option<Size>,
    /// The user of the container that it is, if not the container's own.
    pub user: Option<u32>,
    /// Limits by their names; never more than the container's apps may have.
    pub limits: BTreeMap<String, u64>,
}

impl Execution {
    /// A program that is started as all are, without output.
    pub fn of(program: Program, caller: Option<Credentials>) -> Self {
        Self {
            program,
            caller,
            working_directory: String::new(),
            output_file: PathBuf::new(),
            environment: BTreeMap::new(),
            streams: Streams::Output(None),
            terminal: None,
            user: None,
            limits: BTreeMap::new(),
        }
    }
}

/// A process that runs.
pub struct Executed {
    /// Where it is kept.
    pub processes: Arc<Processes>,
    /// Its number there.
    pub number: Number,
    /// Its process ID on the host.
    pub pid: u32,
    /// The near end of its terminal.
    pub terminal: Option<OwnedFd>,
}
