//! Create: a container's root tree, network and processes come to be.

use std::{
    collections::BTreeMap, fs, io, net::IpAddr, os::fd::AsFd as _, path::Path, sync::Arc,
    time::Duration,
};

use softwarecontainer_capability::GatewaySettings;
use softwarecontainer_network::{ContainerAddresses, Network, NetworkError};

use super::{
    Container, ContainerError, INIT_LIMIT, Shared, State,
    confinement::Baseline,
    execute::check_variables,
    facts::{Facts, Place},
    init_link::{InitLink, Listener},
    init_priority,
    lxc_cgroups::LxcCgroups,
    lxc_config, lxc_log,
    lxc_start::{self, Start},
    monitor::Monitor,
    options::ContainerOptions,
    processes::Processes,
    rootfs::Rootfs,
    shared::lxc_name,
    state_file::{Starter, StateFile},
};
use crate::{
    error_chain::Chain,
    gateway::Gateways,
    host::{
        app_user::AppUser,
        apparmor,
        cgroup::{Cgroups, CpuQuota, Freezer, members::pidfd, memory},
        container_path::Owner,
        credentials::group_of,
        lxc_calls::LxcCalls,
        mount,
        namespace::Namespaces,
    },
    mounts::{Submounts, buffers::Buffers},
};

/// The init's socket in the container's gateways directory; there only until the init has
/// connected.
const INIT_SOCKET: &str = ".init";
/// How many files a container's `/dev` may hold: devices, and whatever apps put there.
const DEV_FILES: u64 = 1024;
/// How long the processes of a container may take to end that was started in vain.
const END_LIMIT: Duration = Duration::from_secs(5);

impl Container {
    /// Makes and starts the container that `facts` are about; its init runs when this returns. All
    /// processes have the variables of `environment` that are not among their own.
    ///
    /// # Errors
    /// [`ContainerError`]; nothing stays behind then.
    pub fn create(
        shared: Arc<Shared>,
        facts: Arc<Facts>,
        options: &ContainerOptions,
        environment: BTreeMap<String, String>,
    ) -> Result<Self, ContainerError> {
        let id = facts.id;
        check_variables(&environment, &shared.config.limits)?;
        shared.own_cgroups.expect_moves();
        let name = lxc_name(id);
        let id_base = shared.id_base(id)?;
        if options.host_user.is_some() && id_base.is_none() {
            return Err(ContainerError::HostUser);
        }
        let file_owner = options.host_user.map(|user| (user, group_of(user)));
        let network = shared.network.get().map_err(NetworkError::from)?;
        network.require_bridge()?;
        let items = network.lxc_items(id)?;
        network.prepare(id)?;
        if !shared.cgroup_parents.exist() {
            shared.cgroup_parents.make(&shared.config.totals)?;
        }
        // Whatever killed a container of that ID has left.
        let cgroups = LxcCgroups::of(&shared.cgroup_parents, &name);
        if cgroups.exist(&shared.cgroup_parents) {
            let ended = cgroups.end(&shared.cgroup_parents, END_LIMIT);
            ended.map_err(ContainerError::Several)?;
        }
        let owner = Owner(id_base.unwrap_or(0));
        let directory = shared.config.shared_mounts_dir.join(&name);
        let size = options.size.unwrap_or(shared.config.limits.root_tree_size);
        let mut user = AppUser::new(owner.0, options.user);
        if let Some((host_user, group)) = file_owner.filter(|_| !options.write_buffer) {
            user = user.being(host_user, group);
        }
        let rootfs = Rootfs::mount(&directory, &shared.template, size, owner, user)?;
        let buffers = options
            .write_buffer
            .then(|| Buffers::new(&directory, owner, user, shared.unwritten.clone()));
        let parts = Parts {
            rootfs,
            user,
            file_owner,
            buffers,
            network: network.clone(),
            network_items: items,
            environment,
        };
        let made = Self::start(shared.clone(), facts, name.clone(), id_base, parts);
        if made.is_err() {
            let mut errors = Vec::new();
            if let Err(failures) = cgroups.end(&shared.cgroup_parents, END_LIMIT) {
                errors.extend(failures);
            }
            errors.extend(network.detach(id).err().map(ContainerError::from));
            errors.extend(remove_lxc_directory(shared.lxc.path(), &name).err());
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
        facts: Arc<Facts>,
        name: String,
        id_base: Option<u32>,
        parts: Parts,
    ) -> Result<Self, ContainerError> {
        let Parts {
            rootfs,
            user,
            file_owner,
            buffers,
            network,
            network_items,
            environment,
        } = parts;
        let id = facts.id;
        let owner = Owner(id_base.unwrap_or(0));
        let log = rootfs.directory().join("lxc.log");
        let init_failed = |source| ContainerError::Init {
            id,
            source,
            log: lxc_log::first_cause(&log),
        };
        let (root, gateways) = (rootfs.root(), rootfs.gateways());
        let rootfs_mount = rootfs.mount_point();
        let cgroups = LxcCgroups::of(&shared.cgroup_parents, &name);
        let system_mounts = shared.template.system_mounts()?;
        let host_files = shared.host_files.copies();
        let inputs = lxc_config::Inputs {
            root: &root,
            gateways: &gateways,
            system_mounts: &system_mounts,
            host_files: &host_files,
            masked_paths: &shared.config.masked_paths,
            id_base,
            user,
            unified_cgroups: shared.unified_cgroups,
            landlock: shared.config.landlock,
            seccomp_profile: shared.seccomp_profile.as_deref(),
            processes: shared.config.limits.processes,
            dev_size: shared.config.limits.dev_size,
            shm_size: shared.config.limits.shm_size,
            rootfs_mount: &rootfs_mount,
            app_limits: &shared.app_limits,
            log: &log,
            init_socket: INIT_SOCKET,
            cgroups: &cgroups,
            total: shared.cgroup_parents.lxc_item(&shared.config.totals),
            network: network_items,
        };
        let apparmor = &shared.config.apparmor;
        let profile = apparmor.lxc_profile(&apparmor::Kernel::now())?;
        let start = Start {
            name: name.clone(),
            items: lxc_config::items(&inputs),
            baseline: Baseline::new(&shared.app_limits),
            extra: shared.config.extra_lxc_config.clone(),
            apparmor: profile.map(|it| (it.to_owned(), apparmor.required().is_none())),
            pivot_parent: shared.cgroup_parents.of_pivot(),
            log: log.clone(),
        };
        let listener = Listener::bind(&gateways.join(INIT_SOCKET), owner.0).map_err(init_failed)?;
        let inside = shared.own_cgroups.enter_monitors();
        let started = lxc_start::start(&start, &shared.lxc);
        drop(inside);
        let (baseline, lxc_path) = started.map_err(|error| ContainerError::Start {
            error,
            log: lxc_log::first_cause(&log),
        })?;
        let (connection, init) = listener.accept(INIT_LIMIT).map_err(init_failed)?;
        apparmor.check(init)?;
        let init_pidfd = Arc::new(pidfd(init).map_err(init_failed)?);
        let monitor = Monitor::of_init(init, &cgroups).map_err(init_failed)?;
        let cgroups = Cgroups::of_process(init)?;
        memory::bound(&cgroups, shared.config.limits.memory_share)?;
        if shared.config.limits.oom_group {
            memory::kill_as_one(&cgroups)?;
        }
        memory::spare(init, shared.config.limits.oom_score_adjust);
        if let Err(error) = init_priority::raise(init, &cgroups) {
            log::warn!("container {id}: its init cannot come before its apps: {error}");
        }
        let freezer = Freezer::of(&cgroups)?;
        let cpu_quota = CpuQuota::of(&cgroups);
        let namespaces = Namespaces::of_init(init, init_pidfd.clone(), id_base.is_some());
        // liblxc limits its size only; what is in it outlives every process that the kernel could
        // kill for memory.
        let limited =
            namespaces.inside_mounts(|it| mount::limit_files(&it.root().join("dev"), DEV_FILES))?;
        if let Err(error) = limited {
            // The integrator's own LXC settings may have made it something else.
            log::warn!("container {id}: {}", Chain(&error));
        }
        network.attach(id, namespaces.network()?.as_fd())?;
        let state_file = StateFile::new(&shared.config.shared_mounts_dir, id, init);
        let state_file = Arc::new(state_file);
        let reports = shared.reports.clone();
        let processes = Processes::new(facts.clone(), state_file.clone(), Starter::First, reports);
        let link = InitLink::new(connection, processes, init_pidfd.clone(), &shared.executor)
            .map_err(init_failed)?;
        shared
            .executor
            .spawn(told_of_end(link.end(), &facts))
            .detach();
        facts.runs(Place {
            init,
            user: user.inside,
            cgroups,
            directory: rootfs.directory().to_owned(),
            gateways,
            addresses: network
                .addresses(id)
                .map_or_else(|_| Vec::new(), all_addresses),
            interface: network.veth(id),
            network: network.clone(),
            namespaces: namespaces.clone(),
        });
        let mut container = Self {
            id,
            lxc: LxcCalls::new(&name, lxc_path),
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
            submounts: Submounts::default(),
            owner,
            user,
            file_owner,
            state: State::Ready,
            state_file,
            is_kept: false,
            settings: GatewaySettings::default(),
            baseline,
            gateways: Gateways::default(),
            network,
            launcher: None,
            environment,
            facts,
            shared,
        };
        container.keep();
        Ok(container)
    }
}

/// Tells of the end of the init that `end` waits for.
pub(super) fn told_of_end(
    end: impl Future<Output = ()> + Send + 'static,
    facts: &Arc<Facts>,
) -> impl Future<Output = ()> + Send + 'static {
    // One that was destroyed is not kept by this.
    let facts = Arc::downgrade(facts);
    async move {
        end.await;
        if let Some(facts) = facts.upgrade() {
            facts.init_gone();
        }
    }
}

pub(super) fn all_addresses(addresses: ContainerAddresses) -> Vec<IpAddr> {
    let v6 = addresses.v6.map(|(address, _)| address.into());
    [Some(addresses.v4.into()), v6]
        .into_iter()
        .flatten()
        .collect()
}

/// What a container is started with.
struct Parts {
    rootfs: Rootfs,
    user: AppUser,
    file_owner: Option<(u32, u32)>,
    buffers: Option<Buffers>,
    network: Arc<Network>,
    /// How it is connected, as LXC's configuration says it.
    network_items: Vec<(&'static str, String)>,
    environment: BTreeMap<String, String>,
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
