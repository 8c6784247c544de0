//! Create: a container's root tree, network and processes come to be.

use std::{fs, io, path::Path, sync::Arc};

use softwarecontainer_capability::GatewaySettings;
use softwarecontainer_lxc as lxc;
use softwarecontainer_network::{Network, NetworkError};

use super::{
    Container, ContainerError, INIT_LIMIT, Shared, State,
    confinement::Baseline,
    init_link::{InitLink, Listener},
    lxc_config,
    monitor::{self, Monitor, pidfd},
    options::ContainerOptions,
    processes::Processes,
    rootfs::Rootfs,
    shared::lxc_name,
};
use crate::{
    error_chain::Chain,
    gateway::Gateways,
    host::{apparmor, container_path::Owner, mount, namespace::Namespaces},
    mounts::buffers::Buffers,
};

/// The init's socket in the container's gateways directory; there only until the init has
/// connected.
const INIT_SOCKET: &str = ".init";
/// How many files a container's `/dev` may hold: devices, and whatever apps put there.
const DEV_FILES: u64 = 1024;
/// How much of liblxc's log an error message quotes, in bytes.
const LOG_EXCERPT: usize = 600;

impl Container {
    /// Makes and starts container `id`; its init runs when this returns.
    ///
    /// # Errors
    /// [`ContainerError`]; nothing stays behind then.
    pub fn create(
        shared: Arc<Shared>,
        id: i32,
        options: &ContainerOptions,
    ) -> Result<Self, ContainerError> {
        shared.own_cgroups.expect_moves();
        let name = lxc_name(id);
        let id_base = shared.id_base(id)?;
        let network = shared.network.get().map_err(NetworkError::from)?;
        network.repair_or_warn();
        let items = network.lxc_items(id)?;
        network.prepare(id)?;
        let owner = Owner(id_base.unwrap_or(0));
        let directory = shared.config.shared_mounts_dir.join(&name);
        let size = options.size.unwrap_or(shared.config.limits.root_tree_size);
        let rootfs = Rootfs::mount(&directory, &shared.template, size, owner)?;
        let buffers = options
            .write_buffer
            .then(|| Buffers::new(&directory, owner, shared.unwritten.clone()));
        let parts = Parts {
            rootfs,
            buffers,
            network: network.clone(),
            network_items: items,
        };
        let made = Self::start(shared.clone(), id, name.clone(), id_base, parts);
        if made.is_err() {
            let mut errors = monitor::remove_left(&shared.cgroup_name(&name));
            errors.extend(network.detach(id).err().map(ContainerError::from));
            errors.extend(remove_lxc_directory(&shared.lxc_path, &name).err());
            errors.extend(
                mount::remove_with_mounts(&directory)
                    .err()
                    .map(ContainerError::from),
            );
            for error in errors {
                log::error!("container {id}: after a failed create: {}", Chain(&error));
            }
        }
        made
    }

    fn start(
        shared: Arc<Shared>,
        id: i32,
        name: String,
        id_base: Option<u32>,
        parts: Parts,
    ) -> Result<Self, ContainerError> {
        let Parts {
            rootfs,
            buffers,
            network,
            network_items,
        } = parts;
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
        let lxc = lxc::Container::new(&name, Some(&shared.lxc_path)).map_err(failed)?;
        let (root, gateways) = (rootfs.root(), rootfs.gateways());
        let cgroup_name = shared.cgroup_name(&name);
        let system_mounts = shared.template.system_mounts()?;
        let inputs = lxc_config::Inputs {
            root: &root,
            gateways: &gateways,
            system_mounts: &system_mounts,
            masked_paths: &shared.config.masked_paths,
            id_base,
            unified_cgroups: shared.unified_cgroups,
            seccomp_profile: shared.seccomp_profile.as_deref(),
            processes: shared.config.limits.processes,
            dev_size: shared.config.limits.dev_size,
            app_limits: &shared.app_limits,
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
        let mut baseline = Baseline::new(&shared.app_limits);
        if let Some(extra) = &shared.config.extra_lxc_config {
            baseline.load_over(&lxc, extra).map_err(failed)?;
        }
        lxc.save_config().map_err(failed)?;
        let listener = Listener::bind(&gateways.join(INIT_SOCKET), owner.0).map_err(init_failed)?;
        let away = shared.own_cgroups.enter_monitors();
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
            log::warn!("container {id}: {}", Chain(&error));
        }
        network.attach(id, namespaces.network())?;
        let processes = Arc::new(Processes::new(id, shared.ended.clone()));
        let link = InitLink::new(connection, processes, &shared.executor).map_err(init_failed)?;
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
            shared,
        })
    }
}

/// What a container is started with.
struct Parts {
    rootfs: Rootfs,
    buffers: Option<Buffers>,
    network: Arc<Network>,
    /// How it is connected, as LXC's configuration says it.
    network_items: Vec<(&'static str, String)>,
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
            log::error!("after a failed create: {}", Chain(&error));
        }
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
