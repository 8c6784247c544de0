//! The agent as a process: start, readiness, watchdog, clean stop.

use std::{
    io,
    os::fd::{AsFd as _, OwnedFd},
    path::{Path, PathBuf},
    sync::Arc,
};

use nix::sys::{
    signal::{SigSet, Signal},
    signalfd::{SfdFlags, SignalFd},
};
use sd_notify::NotifyState;
use smol::{Async, Executor, Timer};
use softwarecontainer_capability::{ManifestError, Store};
use softwarecontainer_lxc as lxc;
use softwarecontainer_network::LateNetwork;

use crate::{
    agent::Agent,
    bus,
    config::Config,
    container::{ContainerConfig, Host, processes::Ended, rootfs::Template, stale},
    error_chain::Chain,
    gateway::watch::SocketWatch,
    host::{
        cgroup::Home,
        kernel,
        own_directory::{OwnDirectory, OwnDirectoryError},
        process_limits,
        seccomp::{self, Filters},
        user_namespace,
        walk::WritableDirectories,
    },
    install::prefix,
    mounts::{HostPaths, unwritten::Unwritten},
    runtime::unblock,
};

/// The variable that names the init's program file, for an agent that is run from a build tree.
const INIT_VARIABLE: &str = "SOFTWARECONTAINER_INIT";
/// LXC's containers if liblxc does not say where.
const FALLBACK_LXC_PATH: &str = "/var/lib/lxc";

/// Why the agent could not start or go on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DaemonError {
    /// A manifest cannot be used.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    /// Signals or timers could not be set up.
    #[error("cannot set up signals")]
    System(#[source] io::Error),
    /// A directory of the agent's cannot be used.
    #[error(transparent)]
    Directory(#[from] OwnDirectoryError),
    /// Another process has the agent's name.
    #[error("another process owns the bus name {}", bus::NAME)]
    NameTaken,
    /// The bus could not be used.
    #[error("D-Bus")]
    Bus(#[source] zbus::Error),
    /// The connection to the bus, and with it the agent's name, is lost.
    #[error("the bus name {} is lost", bus::NAME)]
    BusLost,
}

impl From<zbus::Error> for DaemonError {
    fn from(error: zbus::Error) -> Self {
        match error {
            zbus::Error::NameTaken => Self::NameTaken,
            other => Self::Bus(other),
        }
    }
}

/// Runs the agent until SIGTERM or SIGINT; every container is destroyed then.
///
/// # Errors
/// [`DaemonError`]; containers are destroyed then, too.
pub fn run(config: Config) -> Result<(), DaemonError> {
    // Blocked before any thread starts, so that the signals reach no other.
    let signals = stop_signals().map_err(DaemonError::System)?;
    let store = Store::load_within(
        &config.manifests,
        &config.default_manifests,
        config.manifest_size,
    )?;
    for warning in store.warnings() {
        log::warn!("{warning}");
    }
    let executor = Arc::new(Executor::new());
    let stop = smol::block_on(executor.run(serve(config, store, signals, executor.clone())));
    // The worker threads end with the process.
    stop
}

async fn serve(
    config: Config,
    store: Store,
    signals: OwnedFd,
    executor: Arc<Executor<'static>>,
) -> Result<(), DaemonError> {
    let (ended_sender, ended) = smol::channel::unbounded();
    let agent = Arc::new(Agent::new(store, config.agent));
    let (session, pending_calls) = (config.use_session_bus, config.pending_calls);
    // The name comes first: who does not get it must not touch the containers of the agent that has
    // it. Calls that come before everything is prepared are answered, except that Create waits.
    let connection = bus::serve(session, agent.clone(), executor.clone(), pending_calls).await?;
    // Held until the end.
    let own = Own::take(&config.container)?;
    let (lxc_path, own_paths) = (own.lxc_path.clone(), own.paths());
    let telling = executor.spawn(bus::tell_ends(connection.clone(), ended));
    let preparing = executor.clone();
    let host = unblock(move || prepare(config, lxc_path, own_paths, preparing, ended_sender)).await;
    if let Err(error) = &host {
        log::error!("{error}");
    }
    agent.set_host(host.map(Arc::new)).await;
    notify(&[NotifyState::Ready]);
    let watchdog = executor.spawn(feed_watchdog());
    let sockets = executor.spawn({
        let agent = agent.clone();
        async move { agent.follow_sockets().await }
    });
    let result = smol::future::or(stop_requested(signals), bus_lost(&connection)).await;
    notify(&[NotifyState::Stopping]);
    agent.destroy_all().await;
    agent.leave_host().await;
    drop((telling, watchdog, sockets, own));
    result
}

/// The directories that the agent has for itself.
struct Own {
    directories: [OwnDirectory; 2],
    /// Where LXC keeps its containers.
    lxc_path: PathBuf,
}

impl Own {
    fn take(config: &ContainerConfig) -> Result<Self, OwnDirectoryError> {
        let lxc_path = config
            .lxc_path
            .clone()
            .or_else(lxc::default_path)
            .unwrap_or_else(|| FALLBACK_LXC_PATH.into());
        let directories = [
            OwnDirectory::take("shared-mounts-dir", &config.shared_mounts_dir)?,
            OwnDirectory::take("lxc-path", &lxc_path)?,
        ];
        Ok(Self {
            directories,
            lxc_path,
        })
    }

    fn paths(&self) -> Vec<PathBuf> {
        self.directories
            .iter()
            .map(|it| it.path().to_owned())
            .collect()
    }
}

/// Removes what an earlier agent left, and prepares what containers need.
fn prepare(
    config: Config,
    lxc_path: PathBuf,
    own: Vec<PathBuf>,
    executor: Arc<Executor<'static>>,
    ended: smol::channel::Sender<Ended>,
) -> Result<Host, String> {
    let unwritten = Arc::new(Unwritten::default());
    for error in stale::remove_all(&lxc_path, &config.container.shared_mounts_dir, &unwritten) {
        log::error!("removing what an earlier agent left: {}", Chain(&error));
    }
    let writable = WritableDirectories::default();
    // Apps write to their root trees there.
    writable.add(&config.container.shared_mounts_dir);
    let init = init_program();
    let template_dir = config.container.shared_mounts_dir.join("template");
    let template =
        Template::prepare(&template_dir, &prefix(), &init).map_err(|error| error.to_string())?;
    let seccomp_profile =
        seccomp::profile_file(&config.seccomp_profile, &config.container.shared_mounts_dir)
            .map_err(|error| error.to_string())?;
    let no_user_namespaces = user_namespace::obstacle();
    if let Some(why) = &no_user_namespaces {
        log::warn!("containers share the host's user namespace: {why}");
    }
    let kernel_lacks = kernel::lacking();
    for lack in &kernel_lacks {
        log::warn!("the kernel lacks {lack}");
    }
    let network = LateNetwork::new(config.bridge.clone());
    if let Err(error) = network.get() {
        log::error!("no container can be created yet: {}", Chain(&error));
    }
    let sockets = SocketWatch::new().map_err(|error| format!("cannot watch sockets: {error}"))?;
    Ok(Host {
        sockets: Arc::new(sockets),
        template,
        network,
        home: Home::remember().map_err(|error| error.to_string())?,
        lxc_path,
        unified_cgroups: Path::new("/sys/fs/cgroup/cgroup.controllers").exists(),
        no_user_namespaces,
        kernel_lacks,
        paths: HostPaths {
            allowed: config.allowed_host_paths,
            own,
            writable,
        },
        unwritten,
        filters: Filters::new(seccomp_profile.is_some()),
        seccomp_profile,
        app_limits: process_limits::find(config.container.limits.open_files),
        executor,
        ended,
        config: config.container,
    })
}

/// The init's program file: named by a variable, beside the agent's own, or where it is installed.
fn init_program() -> PathBuf {
    const NAME: &str = "softwarecontainer-init";
    if let Some(path) = std::env::var_os(INIT_VARIABLE) {
        return path.into();
    }
    let beside = std::env::current_exe()
        .ok()
        .map(|own| own.with_file_name(NAME));
    beside
        .filter(|path| path.exists())
        .unwrap_or_else(|| prefix().join("libexec/softwarecontainer").join(NAME))
}

fn stop_signals() -> io::Result<OwnedFd> {
    let set = SigSet::from_iter([Signal::SIGTERM, Signal::SIGINT]);
    set.thread_block()?;
    let signals = SignalFd::with_flags(&set, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)?;
    signals.as_fd().try_clone_to_owned()
}

async fn stop_requested(signals: OwnedFd) -> Result<(), DaemonError> {
    let signals = Async::new_nonblocking(signals).map_err(DaemonError::System)?;
    signals.readable().await.map_err(DaemonError::System)?;
    log::info!("stopping");
    Ok(())
}

/// Returns when the connection is closed or the bus has taken the name away (`NameLost`, D-Bus
/// specification).
async fn bus_lost(connection: &zbus::Connection) -> Result<(), DaemonError> {
    use smol::stream::StreamExt as _;
    let mut messages = zbus::MessageStream::from(connection);
    while let Some(Ok(message)) = messages.next().await {
        let header = message.header();
        let name_lost = header.member().is_some_and(|member| member == "NameLost")
            && header
                .sender()
                .is_some_and(|sender| sender == "org.freedesktop.DBus");
        if name_lost
            && message
                .body()
                .deserialize::<&str>()
                .is_ok_and(|name| name == bus::NAME)
        {
            break;
        }
    }
    Err(DaemonError::BusLost)
}

async fn feed_watchdog() {
    let Some(limit) = sd_notify::watchdog_enabled() else {
        return;
    };
    loop {
        // sd_watchdog_enabled(3) recommends half of the limit.
        Timer::after(limit / 2).await;
        notify(&[NotifyState::Watchdog]);
    }
}

fn notify(state: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(state) {
        log::warn!("cannot notify systemd: {error}");
    }
}
