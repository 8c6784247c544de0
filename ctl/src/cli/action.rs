//! What can be asked for.

/// The commands.
#[derive(Debug, PartialEq)]
pub enum Action {
    /// All containers.
    List,
    /// All that is known of one.
    Inspect(i32),
    /// What runs in one.
    Processes(i32),
    /// Run a command in one.
    Exec(Exec),
    /// Send a signal.
    Kill {
        /// The container.
        id: i32,
        /// The process.
        process: u32,
        /// The signal's number.
        signal: i32,
    },
    /// Freeze one.
    Suspend(i32),
    /// Thaw one.
    Resume(i32),
    /// Remove one.
    Destroy(i32),
    /// What containers can be given, or what these capabilities open.
    Capabilities(Vec<String>),
    /// The agent, or a container.
    Status(Option<i32>),
    /// What one may do, in words.
    Explain(i32),
    /// What one may do, as the manifests have it.
    Rules(i32),
    /// What happens.
    Monitor {
        /// A JSON object a line.
        json: bool,
    },
    /// What happens to one, and what it was refused.
    Trace {
        /// The container.
        id: i32,
        /// A JSON object a line.
        json: bool,
    },
    /// What they use, as often as this, or until the end.
    Top(Option<u32>),
    /// What is wrong.
    Doctor,
    /// Run a command in one of its own.
    Run(Run),
}

/// A command for a container.
#[derive(Debug, Default, PartialEq)]
pub struct Exec {
    /// With this program's standard input.
    pub input: bool,
    /// At this program's terminal.
    pub terminal: bool,
    /// As another user of the container.
    pub user: Option<u32>,
    /// In this directory; the root if it is empty.
    pub directory: String,
    /// With these variables.
    pub environment: Vec<(String, String)>,
    /// The container.
    pub id: i32,
    /// Program and arguments.
    pub command: Vec<String>,
}

/// A container for one command.
#[derive(Debug, Default, PartialEq)]
pub struct Run {
    /// What it is given.
    pub capabilities: Vec<String>,
    /// What is mounted in it.
    pub mounts: Vec<Mount>,
    /// Whom it is for.
    pub app: String,
    /// With write buffers.
    pub write_buffer: bool,
    /// The command.
    pub exec: Exec,
}

/// Something of the host in a container.
#[derive(Debug, PartialEq)]
pub struct Mount {
    /// Its path on the host.
    pub host: String,
    /// Its path in the container.
    pub container: String,
    /// It cannot be changed there.
    pub read_only: bool,
}

impl Mount {
    /// From `HOST:CONTAINER` or `HOST:CONTAINER:ro`.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (paths, read_only) = match text.strip_suffix(":ro") {
            Some(paths) => (paths, true),
            None => (text, false),
        };
        let (host, container) = paths.rsplit_once(':')?;
        let is_usable = !host.is_empty() && container.starts_with('/');
        is_usable.then(|| Self {
            host: host.to_owned(),
            container: container.to_owned(),
            read_only,
        })
    }
}
