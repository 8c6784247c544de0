//! What the next agent needs to go on with a container, as JSON.
//!
//! What the kernel tells is not in it, but what the kernel's answers are checked against. A version
//! is refused or understood as a whole.

use std::{
    collections::BTreeMap,
    net::IpAddr,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use softwarecontainer_capability::{
    GatewayConfig, Origin,
    json::{JsonPath, Step},
};

use super::{
    Container, State, Status,
    confinement::KeptBaseline,
    facts::{Earlier, Label, Mounted, Process, Rules},
    host_ipc::HostIpc,
    state_file::Known,
};
use crate::{
    error_chain::Chain,
    host::{app_user::AppUser, descriptor_store::Shelf, process::SameProcess},
    mounts::Submounts,
};

/// The version of what is written; also of what the init is told and says.
const VERSION: u32 = 1;

/// What the next agent needs to go on with a container.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Record {
    version: u32,
    pub(super) init: SameProcess,
    pub(super) monitor: SameProcess,
    pub(super) lxc_path: PathBuf,
    pub(super) id_base: Option<u32>,
    pub(super) user: AppUser,
    pub(super) file_owner: Option<(u32, u32)>,
    pub(super) write_buffer: bool,
    pub(super) environment: BTreeMap<String, String>,
    pub(super) baseline: KeptBaseline,
    pub(super) bridge: String,
    pub(super) addresses: Vec<IpAddr>,
    configs: Vec<KeptConfig>,
    /// Apps run in the host's IPC namespace.
    pub(super) host_ipc: bool,
    /// What each gateway has done.
    pub(super) gateways: BTreeMap<String, Value>,
    pub(super) submounts: Submounts,
    pub(super) told: Told,
}

/// What is told of it to those who look.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Told {
    creator: u32,
    pub(super) suspended: bool,
    app: String,
    text: String,
    #[serde(default)]
    bound_to: Option<String>,
    options: String,
    since: u64,
    capabilities: Vec<String>,
    mounts: Vec<(PathBuf, PathBuf, bool)>,
    processes: BTreeMap<u32, (String, u64)>,
}

impl Told {
    /// As it was, of the processes that are still `known`.
    pub(super) fn restored(&self, known: &BTreeMap<u32, Known>, rules: Rules) -> Earlier {
        let processes = self.processes.iter();
        let processes = processes.filter(|(pid, _)| known.contains_key(pid));
        let mounts = self.mounts.iter().cloned();
        Earlier {
            creator: self.creator,
            label: Label {
                app: self.app.clone(),
                text: self.text.clone(),
                bound_to: self.bound_to.clone(),
            },
            options: self.options.clone(),
            since: time(self.since),
            status: if self.suspended {
                Status::Suspended
            } else {
                Status::Ready
            },
            capabilities: self.capabilities.clone(),
            rules,
            mounts: mounts
                .map(|(host, container, read_only)| Mounted {
                    host,
                    container,
                    read_only,
                })
                .collect(),
            processes: processes
                .map(|(pid, (command, since))| {
                    let since = time(*since);
                    let command = command.clone();
                    (*pid, Process { command, since })
                })
                .collect(),
        }
    }
}

fn seconds(time: SystemTime) -> u64 {
    let since = time.duration_since(SystemTime::UNIX_EPOCH);
    since.unwrap_or_default().as_secs()
}

fn time(seconds: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH
        .checked_add(Duration::from_secs(seconds))
        .unwrap_or(SystemTime::UNIX_EPOCH)
}

/// What a capability asked of a gateway: manifests may be others by now.
#[derive(Debug, Serialize, Deserialize)]
struct KeptConfig {
    id: String,
    config: Value,
    file: PathBuf,
    capability: String,
    /// Keys and indices.
    path: Vec<Value>,
}

impl KeptConfig {
    fn of(config: &GatewayConfig) -> Self {
        let steps = config.origin.path.0.iter();
        Self {
            id: config.id.clone(),
            config: config.config.clone(),
            file: config.origin.file.to_path_buf(),
            capability: config.origin.capability.to_string(),
            path: steps
                .map(|step| match step {
                    Step::Key(key) => Value::from(key.as_str()),
                    Step::Index(index) => Value::from(*index),
                })
                .collect(),
        }
    }

    fn restored(self) -> Option<GatewayConfig> {
        let steps = self.path.into_iter().map(|step| match step {
            Value::String(key) => Some(Step::Key(key)),
            other => Some(Step::Index(usize::try_from(other.as_u64()?).ok()?)),
        });
        Some(GatewayConfig {
            id: self.id,
            config: self.config,
            origin: Origin {
                file: self.file.into(),
                capability: self.capability.into(),
                path: JsonPath(steps.collect::<Option<_>>()?),
            },
        })
    }
}

impl Record {
    /// # Errors
    /// It is of another version, or none.
    pub(super) fn parse(text: &str) -> Result<Self, RecordError> {
        #[derive(Deserialize)]
        struct Versioned {
            version: u32,
        }
        // First, because everything else may be otherwise in another version.
        let Versioned { version } = serde_json::from_str(text).map_err(RecordError::Syntax)?;
        if version != VERSION {
            return Err(RecordError::Version(version));
        }
        serde_json::from_str(text).map_err(RecordError::Syntax)
    }

    /// What was asked of the gateways, in its order.
    pub(super) fn take_configs(&mut self) -> Option<Vec<GatewayConfig>> {
        let configs = std::mem::take(&mut self.configs);
        configs.into_iter().map(KeptConfig::restored).collect()
    }
}

/// Why a record says nothing.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// It cannot be read.
    #[error("what was written of it cannot be read")]
    Syntax(#[source] serde_json::Error),
    /// Another version of the agent has written it.
    #[error("an agent that writes version {0} has made it, not {VERSION}")]
    Version(u32),
}

impl Container {
    /// Has the next agent go on with it, if somebody keeps the connection to its init.
    pub(super) fn keep(&mut self) {
        let store = &self.shared.store;
        if !store.is_there() {
            return;
        }
        match store.keep(self.state_file.name(), self.link.descriptor()) {
            Ok(()) => self.is_kept = true,
            Err(error) => log::warn!(
                "container {} would not outlive the agent: its connection is not kept: {error}",
                self.id
            ),
        }
        self.save();
    }

    /// Leaves it to the next agent; false if that could not go on with it. Where it is left, it
    /// must not be dropped.
    pub fn leave(&mut self) -> bool {
        self.save();
        self.is_kept && self.state_file.record().is_some()
    }

    /// Nobody goes on with it any more.
    pub(super) fn give_up(&mut self) {
        self.state_file.set_record(None);
        if std::mem::take(&mut self.is_kept) {
            self.shared.store.forget_all_of(self.state_file.name());
        }
    }

    /// Does what changes it. An agent that is killed meanwhile leaves a container that is
    /// destroyed: nothing is ever half done.
    pub(super) fn changing<T>(&mut self, change: impl FnOnce(&mut Self) -> T) -> T {
        if !self.is_kept {
            return change(self);
        }
        self.state_file.set_record(None);
        let result = change(self);
        self.save();
        result
    }

    /// Writes down what the next agent needs.
    pub(super) fn save(&mut self) {
        if !self.is_kept {
            return;
        }
        let record = self.record().and_then(|record| {
            let text = serde_json::to_string(&record);
            text.inspect_err(|error| log::warn!("container {}: {}", self.id, Chain(error)))
                .ok()
        });
        self.state_file.set_record(record);
    }

    /// `None`: the next agent cannot go on with it.
    fn record(&mut self) -> Option<Record> {
        if self.state == State::Invalid {
            return None;
        }
        let shelf = Shelf::new(&self.shared.store, self.state_file.name());
        let gateways = self.gateways.keep(&shelf)?;
        let host_ipc = HostIpc::keep(self.host_ipc.as_mut(), &shelf);
        let host_ipc = host_ipc
            .inspect_err(|error| log::warn!("container {}: {error}", self.id))
            .ok()?;
        let facts = &self.facts;
        let processes = facts.processes().into_iter();
        let mounts = facts.mounts().into_iter();
        Some(Record {
            version: VERSION,
            init: SameProcess::now(self.init)?,
            monitor: SameProcess::now(self.monitor.pid())?,
            lxc_path: self.lxc.path().to_owned(),
            id_base: (self.owner.0 != 0).then_some(self.owner.0),
            user: self.user,
            file_owner: self.file_owner,
            write_buffer: self.buffers.is_some(),
            environment: self.environment.clone(),
            baseline: self.baseline.kept(),
            bridge: self.network.veth(self.id),
            addresses: facts.place()?.addresses.clone(),
            configs: facts.rules().iter().map(KeptConfig::of).collect(),
            host_ipc,
            gateways,
            submounts: self.submounts.copy(),
            told: Told {
                creator: facts.creator,
                suspended: self.state == State::Suspended,
                app: facts.label.app.clone(),
                text: facts.label.text.clone(),
                bound_to: facts.label.bound_to.clone(),
                options: facts.options.clone(),
                since: seconds(facts.since),
                capabilities: facts.capabilities(),
                mounts: mounts
                    .map(|it| (it.host, it.container, it.read_only))
                    .collect(),
                processes: processes
                    .map(|(pid, it)| (pid, (it.command, seconds(it.since))))
                    .collect(),
            },
        })
    }
}

/// Whether something is mounted at `directory`, as a container's is.
pub(super) fn is_mounted(directory: &Path) -> bool {
    crate::host::mountinfo::all().is_ok_and(|all| all.iter().any(|it| it.point == directory))
}
