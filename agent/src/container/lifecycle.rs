//! How containers come; see `sleep` and `destroy` for the rest of their lives.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use smol::Executor;
use softwarecontainer_capability::gateway::GatewaySettings;
use softwarecontainer_lxc as lxc;
use softwarecontainer_network::{LateNetwork, Network, NetworkError};

use super::{
    Container, ContainerError, INIT_LIMIT, State,
    config::ContainerConfig,
    confinement::Baseline,
    init_link::{InitLink, Listener},
    lxc_config,
    monitor::{self, Monitor, pidfd},
    options::ContainerOptions,
    processes::{Ended, Processes},
    rootfs::{Rootfs, Template},
};
use crate::{
    gateway::{Gateways, watch::SocketWatch},
    host::{
        apparmor,
        cgroup::Home,
        container_path::Owner,
        kernel, mount,
        namespace::Namespaces,
        process_limits::AppLimit,
        seccomp::Filters,
        user_namespace::{self, FIRST_ID, ID_RANGE},
    },
    mounts::{HostPaths, buffers::Buffers, unwritten::Unwritten},
};

/// The init's socket in the container's gateways directory; there only until the init has
/// connected.
const INIT_SOCKET: &str = ".init";
/// How many files a container's `/dev` may hold: devices, and whatever apps put there.
const DEV_FILES: u64 = 1024;
/// How much of liblxc's log an error message quotes, in bytes.
const LOG_EXCERPT: usize = 600;

/// What all containers share.
#[derive(Debug)]
pub struct Host {
    /// What the agent's configuration says of containers.
    pub config: ContainerConfig,
    /// The shared part of the root tree.
    pub template: Template,
    /// The bridge and what goes with it.
    pub network: LateNetwork,
    /// Tells when a server on the host has made its socket anew.
    pub sockets: Arc<SocketWatch>,
    /// Where LXC keeps its containers.
    pub lxc_path: PathBuf,
    /// The cgroups that the agent belongs to.
    pub home: Arc<Home>,
    /// Whether the host has the unified cgroup hierarchy only.
    pub unified_cgroups: bool,
    /// Why containers cannot have user namespaces, if so.
    pub no_user_namespaces: Option<String>,
    /// What decides on the host paths that apps are given.
    pub paths: HostPaths,
    /// The seccomp profile that LXC loads for every container.
    pub seccomp_profile: Option<PathBuf>,
    /// What the kernel lacks.
    pub kernel_lacks: Vec<kernel::Lack>,
    /// The host directories with write buffers that could not be written.
    pub unwritten: Arc<Unwritten>,
    /// The filters on system calls of processes.
    pub filters: Filters,
    /// Limits of processes that manifests may raise.
    pub app_limits: Vec<AppLimit>,
    /// The agent's executor.
    pub executor: Arc<Executor<'static>>,
    /// Where ends of processes are told.
    pub ended: smol::channel::Sender<Ended>,
}

/// The LXC name of container `id`.
pub fn lxc_name(id: i32) -> String {
    format!("SC-{id}")
}

impl Container {
    /// Makes and starts container `id`; its init runs when this returns.
    ///
    /// # Errors
    /// [`ContainerError`]; nothing stays behind then.
    pub fn create(
        host: Arc<Host>,
        id: i32,
        options: &ContainerOptions,
    ) -> Result<Self, ContainerError> {
        host.home.expect_moves();
        let name = lxc_name(id);
        let id_base = host.id_base(id)?;
        let network = host.network.get().map_err(NetworkError::from)?;
        network.repair_or_warn();
        let items = network.lxc_items(id)?;
        network.prepare(id)?;
        let owner = Owner(id_base.unwrap_or(0));
        let directory = host.config.shared_mounts_dir.join(&name);
        let size = options.size.unwrap_or(host.config.limits.root_tree_size);
        let rootfs = Rootfs::mount(&directory, &host.template, size, owner)?;
        let buffers = options
            .write_buffer
            .then(|| Buffers::new(&directory, owner, host.unwritten.clone()));
        let connection = (network.clone(), items);
        let own = (rootfs, buffers);
        let made = Self::start(host.clone(), id, name.clone(), id_base, own, connection);
        if made.is_err() {
            let mut errors = monitor::remove_left(&host.cgroup_name(&name));
            errors.extend(network.detach(id).err().map(ContainerError::from));
            errors.extend(remove_lxc_directory(&host.lxc_path, &name).err());
            errors.extend(
                mount::remove_with_mounts(&directory)
                    .err()
                    .map(ContainerError::from),
            );
            for error in errors {
                log::error!("container {id}: after a failed create: {error}");
            }
        }
        made
    }

    fn start(
        host: Arc<Host>,
        id: i32,
        name: String,
        id_base: Option<u32>,
        (rootfs, buffers): (Rootfs, Option<Buffers>),
        (network, network_items): (Arc<Network>, Vec<(&'static str, String)>),
    ) -> Result<Self, ContainerError> {
        let owner = Owner(id_base.unwrap_or(0));
        let log = rootfs.directory().join("lxc.log");
        let failed = |error| ContainerError::Lxc {
            error,
            log: excerpt(&log),
        };
        let init_failed = |source| ContainerError::Init {
            id,
            source,
            log: excerpt(&log),
        };
        let lxc = lxc::Container::new(&name, Some(&host.lxc_path)).map_err(failed)?;
        let (root, gateways) = (rootfs.root(), rootfs.gateways());
        let cgroup_name = host.cgroup_name(&name);
        let system_mounts = host.template.system_mounts()?;
        let inputs = lxc_config::Inputs {
            root: &root,
            gateways: &gateways,
            system_mounts: &system_mounts,
            masked_paths: &host.config.masked_paths,
            id_base,
            unified_cgroups: host.unified_cgroups,
            seccomp_profile: host.seccomp_profile.as_deref(),
            processes: host.config.limits.processes,
            dev_size: host.config.limits.dev_size,
            app_limits: &host.app_limits,
            log: &log,
            init_socket: INIT_SOCKET,
            cgroup_name: (cgroup_name != name).then_some(cgroup_name.as_str()),
            network: network_items,
        };
        for (key, value) in lxc_config::items(&inputs) {
            lxc.set(key, &value).map_err(failed)?;
        }
        if apparmor::lacks_lxc_profile() && lxc.set("lxc.apparmor.profile", "unconfined").is_err() {
            log::debug!("this liblxc was built without AppArmor");
        }
        let mut baseline = Baseline::new(&host.app_limits);
        if let Some(extra) = &host.config.extra_lxc_config {
            baseline.load_over(&lxc, extra).map_err(failed)?;
        }
        lxc.save_config().map_err(failed)?;
        let listener = Listener::bind(&gateways.join(INIT_SOCKET), owner.0).map_err(init_failed)?;
        let away = host.home.leave();
        let started = lxc.start();
        drop(away);
        started.map_err(failed)?;
        let running = Running(Some(lxc));
        let init = running
            .init_pid()
            .ok_or_else(|| init_failed(io::ErrorKind::NotFound.into()))?;
        let init_pidfd = pidfd(init).map_err(init_failed)?;
        let monitor = Monitor::of_init(init).map_err(init_failed)?;
        let connection = listener.accept(init, INIT_LIMIT).map_err(init_failed)?;
        let namespaces = Namespaces::of_process(init, id_base.is_some())?;
        // liblxc limits its size only; what is in it outlives every process that the kernel could
        // kill for memory.
        let limited =
            namespaces.inside_mounts(|root| mount::limit_files(&root.join("dev"), DEV_FILES))?;
        if let Err(error) = limited {
            // The integrator's own LXC settings may have made it something else.
            log::warn!("container {id}: {error}");
        }
        network.attach(id, namespaces.network())?;
        let processes = Arc::new(Processes::new(id, host.ended.clone()));
        let link = InitLink::new(connection, processes, &host.executor).map_err(init_failed)?;
        let lxc = running.keep().ok_or(ContainerError::Gone { id })?;
        Ok(Self {
            id,
            name,
            lxc,
            init,
            init_pidfd,
            monitor,
            link,
            host_ipc: None,
            namespaces: Some(namespaces),
            rootfs,
            buffers,
            owner,
            state: State::Ready,
            settings: GatewaySettings::default(),
            baseline,
            gateways: Gateways::default(),
            network,
            host,
        })
    }
}

/// A started container that is stopped again unless everything else works out.
struct Running(Option<lxc::Container>);

impl Running {
    fn init_pid(&self) -> Option<u32> {
        self.0.as_ref()?.init_pid()
    }

    fn keep(mut self) -> Option<lxc::Container> {
        self.0.take()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(Err(error)) = self.0.as_ref().map(lxc::Container::stop) {
            log::error!("after a failed create: {error}");
        }
    }
}

impl Host {
    /// What the cgroups of container `name` are called, after LXC's own beginning of the name.
    /// Agents with the same LXC path cannot run side by side; those with one of their own can, and
    /// their containers have the same names.
    fn cgroup_name(&self, name: &str) -> String {
        match self.config.lxc_path {
            Some(_) => format!("{name}.{}", std::process::id()),
            None => name.to_owned(),
        }
    }

    /// The first host ID of container `id`, `None` if it is to have no user namespace.
    fn id_base(&self, id: i32) -> Result<Option<u32>, ContainerError> {
        user_namespace::decide(
            self.config.user_namespace,
            self.no_user_namespaces.as_deref(),
        )
        .map_err(|why| ContainerError::NoUserNamespace { why })
        .map(|wanted| {
            wanted
                .then(|| u32::try_from(id).ok())
                .flatten()
                .and_then(|id| id.checked_mul(ID_RANGE)?.checked_add(FIRST_ID))
        })
    }
}

/// Removes LXC's directory of a container: its configuration.
///
/// # Errors
/// [`ContainerError::Remove`].
pub(super) fn remove_lxc_directory(lxc_path: &Path, name: &str) -> Result<(), ContainerError> {
    let path = lxc_path.join(name);
    match fs::remove_dir_all(&path) {
        Err(source) if source.kind() != io::ErrorKind::NotFound => {
            Err(ContainerError::Remove { path, source })
        }
        _ => Ok(()),
    }
}

/// The end of LXC's log, on one line.
fn excerpt(log: &Path) -> String {
    let text = fs::read(log).unwrap_or_default();
    let tail = text
        .get(text.len().saturating_sub(LOG_EXCERPT)..)
        .unwrap_or_default();
    String::from_utf8_lossy(tail).trim().replace('\n', " | ")
}
