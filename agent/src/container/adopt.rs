//! Going on with the containers of an agent that has ended without destroying them.
//!
//! The service manager has kept the connection to each container's init, and the agent's state file
//! says the rest ([`Record`]). Both are checked against the kernel, and what does not agree is
//! destroyed, as everything is where nobody keeps connections.

use std::{collections::BTreeSet, io, os::fd::OwnedFd, path::Path, sync::Arc};

use rustix::process::{Signal, pidfd_send_signal};
use softwarecontainer_capability::{ConfigError, GatewaySettings};
use softwarecontainer_network::{BridgeError, NetworkError};
use thiserror::Error;

use super::{
    Container, ContainerError, Shared, State,
    confinement::Baseline,
    create::{all_addresses, told_of_end},
    facts::{Facts, Place},
    host_ipc::HostIpc,
    init_link::{self, InitLink},
    lxc_cgroups::LxcCgroups,
    monitor::Monitor,
    processes::{KILLED, Processes, Report},
    record::{Record, RecordError, is_mounted},
    recover::Kept,
    rootfs::Rootfs,
    set_capabilities::named_hosts,
    shared::lxc_name,
    state_file::{Starter, StateFile},
};
use crate::{
    gateway::{GatewayError, Gateways},
    host::{
        cgroup::{CgroupError, Cgroups, CpuQuota, Freezer, members::pidfd},
        container_path::Owner,
        descriptor_store::{DescriptorStore, Shelf},
        lxc_calls::LxcCalls,
        mount::MountError,
        namespace::{NamespaceError, Namespaces},
        process,
    },
    mounts::{BindError, buffers::Buffers},
};

/// Why a container cannot be gone on with.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum AdoptError {
    /// Its agent had not written down what is needed: a call was changing it, or it has what
    /// cannot be gone on with.
    #[error("its agent has left no record of it")]
    NoRecord,
    /// What its agent has written says nothing.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// Nobody has kept the connection to its init.
    #[error("the connection to its init was not kept")]
    NoConnection,
    /// Another container has the same ID.
    #[error("there are two of them")]
    Twice,
    /// A process is not there any more.
    #[error("its {0} has ended")]
    Ended(&'static str),
    /// The kernel says something else than the record.
    #[error("its {0} is not as its agent has left it")]
    Other(&'static str),
    /// The configuration is another one.
    #[error("the agent's configuration has another {0} now")]
    Configuration(&'static str),
    /// The system did not say.
    #[error("cannot examine its {0}")]
    System(&'static str, #[source] io::Error),
    /// What was asked of a gateway is not understood any more.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A gateway cannot go on.
    #[error(transparent)]
    Gateway(#[from] GatewayError),
    /// The network cannot.
    #[error(transparent)]
    Network(#[from] NetworkError),
    /// There is no network.
    #[error(transparent)]
    Bridge(#[from] BridgeError),
    /// The container's cgroups.
    #[error(transparent)]
    Cgroup(#[from] CgroupError),
    /// The container's namespaces.
    #[error(transparent)]
    Namespace(#[from] NamespaceError),
    /// The container's directory.
    #[error(transparent)]
    Mount(#[from] MountError),
    /// What is mounted in it.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// Anything else.
    #[error(transparent)]
    Container(#[from] ContainerError),
}

/// A container that an earlier agent has left, whose init and monitor run.
#[derive(Debug)]
pub struct Left {
    state_file: Arc<StateFile>,
    record: Record,
    connection: OwnedFd,
}

impl Left {
    /// The container's ID.
    #[must_use]
    pub fn id(&self) -> i32 {
        self.state_file.container()
    }

    fn name(&self) -> String {
        lxc_name(self.id())
    }

    /// What is left of one that cannot be gone on with, for its ends to be told.
    #[must_use]
    pub fn remains(&self) -> Remains {
        Remains {
            state_file: self.state_file.clone(),
            connection: self.connection.try_clone().ok(),
        }
    }
}

/// What is left of a container that is destroyed.
#[derive(Debug)]
pub struct Remains {
    state_file: Arc<StateFile>,
    connection: Option<OwnedFd>,
}

impl Remains {
    /// Nobody needs the connection any more.
    pub fn give_up(&self, store: &DescriptorStore) {
        store.forget_all_of(self.state_file.name());
    }

    /// The ends of its processes that were not told; to be called when none runs any more.
    #[must_use]
    pub fn ends(self) -> Vec<Report> {
        let known = self.connection.as_ref().map(init_link::unheard_ends);
        let known = known.unwrap_or_default();
        self.state_file.set_record(None);
        let ended = self.state_file.ended().into_iter();
        ended
            .map(|(pid, it)| {
                let heard = known
                    .get(&it.number)
                    .filter(|_| it.starter == Starter::First);
                let status = heard.copied().unwrap_or(KILLED);
                Report::of_left(self.state_file.clone(), pid, status)
            })
            .collect()
    }
}

/// The containers that earlier agents have left in the shared mounts directory: those that can
/// probably be gone on with, and what is left of the others.
#[must_use]
pub fn find(shared_mounts_dir: &Path, store: &DescriptorStore) -> (Vec<Left>, Vec<Remains>) {
    let (mut left, mut remains) = (Vec::new(), Vec::new());
    let mut ids = BTreeSet::new();
    for state_file in StateFile::left_in(shared_mounts_dir) {
        let state_file = Arc::new(state_file);
        let connection = store.take(state_file.name());
        let was_kept = connection.is_some();
        match check(&state_file, connection.as_ref(), &mut ids) {
            Ok(record) => {
                if let Some(connection) = connection {
                    left.push(Left {
                        state_file,
                        record,
                        connection,
                    });
                }
                continue;
            }
            Err(error) if was_kept => log_refusal(state_file.container(), &error),
            Err(_) => {}
        }
        let one = Remains {
            state_file,
            connection,
        };
        if was_kept {
            one.give_up(store);
        }
        remains.push(one);
    }
    let awaited = left.iter().map(|it| it.state_file.name().to_owned());
    store.forget_left(&awaited.collect());
    (left, remains)
}

/// Ends what has lost the init that has started it.
fn end_all_of(starter: Starter, state_file: &StateFile) {
    for (pid, known) in state_file.processes() {
        if known.starter == starter
            && let Ok(process) = pidfd(pid)
            && process::runs(pid, known.started)
        {
            // Fails if it has ended meanwhile.
            let _ = pidfd_send_signal(&process, Signal::KILL);
        }
    }
}

/// What is not to be removed of these.
#[must_use]
pub fn kept(left: &[Left]) -> Kept {
    Kept {
        names: left.iter().map(Left::name).collect(),
        lxc_paths: left.iter().map(|it| it.record.lxc_path.clone()).collect(),
    }
}

/// Tells why a container does not go on.
pub fn log_refusal(id: i32, error: &AdoptError) {
    log::warn!(
        "container {id} of an earlier agent is destroyed: {}",
        crate::error_chain::Chain(error)
    );
}

fn check(
    state_file: &StateFile,
    connection: Option<&OwnedFd>,
    ids: &mut BTreeSet<i32>,
) -> Result<Record, AdoptError> {
    let connection = connection.ok_or(AdoptError::NoConnection)?;
    let record = state_file.record().ok_or(AdoptError::NoRecord)?;
    let record = Record::parse(&record)?;
    let init = init_link::init_of(connection).map_err(|_| AdoptError::Ended("init"))?;
    if !record.init.runs() {
        return Err(AdoptError::Ended("init"));
    }
    if init != record.init.pid {
        return Err(AdoptError::Other("init"));
    }
    if !record.monitor.runs() {
        return Err(AdoptError::Ended("monitor"));
    }
    if !ids.insert(state_file.container()) {
        return Err(AdoptError::Twice);
    }
    Ok(record)
}

impl Container {
    /// Goes on with a container; the agent's answers are the same as before.
    ///
    /// # Errors
    /// [`AdoptError`]; it is to be removed then.
    pub fn adopt(shared: &Arc<Shared>, left: Left) -> Result<Self, AdoptError> {
        let id = left.id();
        let name = left.name();
        let Left {
            state_file,
            mut record,
            connection,
        } = left;
        let system = |what| move |error| AdoptError::System(what, error);
        let init = record.init.pid;
        let init_pidfd = Arc::new(pidfd(init).map_err(system("init"))?);
        let names = LxcCgroups::of(&shared.cgroup_parents, &name);
        let monitor = Monitor::of_init(init, &names).map_err(system("monitor"))?;
        if monitor.pid() != record.monitor.pid || !monitor.has_cgroups() {
            return Err(AdoptError::Other("monitor"));
        }
        if shared.id_base(id)? != record.id_base {
            return Err(AdoptError::Configuration("user-namespace"));
        }
        let owner = Owner(record.id_base.unwrap_or(0));
        let user = record.user;
        let directory = shared.config.shared_mounts_dir.join(&name);
        if !is_mounted(&directory) {
            return Err(AdoptError::Other("directory"));
        }
        let rootfs = Rootfs::left(&directory, owner, user);
        let cgroups = Cgroups::of_process(init)?;
        let freezer = Freezer::of(&cgroups)?;
        let cpu_quota = CpuQuota::of(&cgroups);
        let namespaces = Namespaces::of_init(init, init_pidfd.clone(), record.id_base.is_some());
        // Everything that went by its number was the same process.
        if !record.init.runs() {
            return Err(AdoptError::Ended("init"));
        }
        let network = shared.network.get()?;
        let addresses = network.addresses(id).map_err(NetworkError::from)?;
        let addresses = all_addresses(addresses);
        if (&addresses, &network.veth(id)) != (&record.addresses, &record.bridge) {
            return Err(AdoptError::Configuration("network"));
        }
        network.adopt(id)?;
        let buffers = record
            .write_buffer
            .then(|| Buffers::left(&directory, owner, user, shared.unwritten.clone()))
            .transpose()
            .map_err(|error| AdoptError::System("write buffers", io::Error::other(error)))?;
        let configs = record.take_configs();
        let configs = configs.ok_or(AdoptError::Other("list of capabilities"))?;
        let mut settings = GatewaySettings::default();
        settings.add(&configs)?;
        let known = state_file.processes();
        let earlier = record.told.restored(&known, configs.into());
        let facts = Facts::left(id, earlier, shared.events.clone());
        let left = |starter| {
            let (facts, file) = (facts.clone(), state_file.clone());
            Processes::left(facts, file, starter, shared.reports.clone())
        };
        let (processes, unknown) = left(Starter::First);
        let of_host_ipc = left(Starter::HostIpc);
        let link = InitLink::new(connection, processes, init_pidfd.clone(), &shared.executor)
            .map_err(system("connection"))?;
        shared
            .executor
            .spawn(told_of_end(link.end(), &facts))
            .detach();
        facts.runs(Place {
            init,
            user: user.inside,
            cgroups,
            directory,
            gateways: rootfs.gateways(),
            addresses,
            interface: network.veth(id),
            network: network.clone(),
            namespaces: namespaces.clone(),
        });
        // Those up to now are no news.
        facts.new_oom_kills();
        let mut container = Self {
            id,
            lxc: LxcCalls::new(&name, record.lxc_path),
            name,
            init,
            init_pidfd,
            monitor,
            freezer,
            cpu_quota,
            link,
            host_ipc: None,
            namespaces,
            rootfs,
            buffers,
            submounts: record.submounts,
            owner,
            user,
            file_owner: record.file_owner,
            state: if record.told.suspended {
                State::Suspended
            } else {
                State::Ready
            },
            state_file,
            is_kept: true,
            settings,
            baseline: Baseline::left(&record.baseline),
            gateways: Gateways::default(),
            launcher: None,
            network,
            environment: record.environment,
            facts,
            shared: shared.clone(),
        };
        container.mounts().follow_left()?;
        let mut gateways = Gateways::default();
        let shelf = Shelf::new(&shared.store, container.state_file.name());
        gateways.adopt(
            &container.target(),
            &container.settings,
            &record.gateways,
            &shelf,
        )?;
        container.gateways = gateways;
        container.facts.set_names(named_hosts(&container.settings));
        let told = container.link.take_over(unknown, super::INIT_LIMIT);
        told.map_err(system("init"))?;
        if record.host_ipc {
            let shelf = Shelf::new(&shared.store, container.state_file.name());
            let (first, executor) = (container.init_pidfd.clone(), &shared.executor);
            let second = HostIpc::adopt(&shelf, of_host_ipc, first, executor, super::INIT_LIMIT);
            container.host_ipc = Some(second.map_err(system("second init"))?);
        } else {
            // It has ended with its agent, which was killed before it could write that down.
            end_all_of(Starter::HostIpc, &container.state_file);
            of_host_ipc.0.all_gone();
        }
        container.save();
        Ok(container)
    }
}
