//! The agent as a process: start, readiness, watchdog, clean stop.

mod end;
mod prepare;
pub mod replace;
mod watchdog;

use std::{io, path::PathBuf, sync::Arc, time::Duration};

use nix::sys::stat::{Mode, umask};
use sd_notify::NotifyState;
use smol::{Executor, Timer};
use softwarecontainer_capability::{ManifestError, Store};
use softwarecontainer_lxc as lxc;
use thiserror::Error;

use crate::{
    agent::{Agent, OnStop},
    bus,
    config::Config,
    error_chain::Chain,
    host::{
        descriptor_store::DescriptorStore,
        own_directory::{OwnDirectory, OwnDirectoryError},
        user_namespace::{self, UserNamespace},
    },
    runtime::unblock,
};
pub use end::{End, REPLACE};
use end::{StopSignals, stops_for_good};
use prepare::prepare;

/// LXC's containers if liblxc does not say where.
const FALLBACK_LXC_PATH: &str = "/var/lib/lxc";

/// How long an agent that is to end waits for what it does at its start.
const PREPARE_LIMIT: Duration = Duration::from_secs(30);
/// How long for the bus to take the signals about its processes.
const TELL_LIMIT: Duration = Duration::from_secs(5);

/// Why the agent could not start or go on.
#[derive(Debug, Error)]
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
    /// Somebody else has the agent's name on the bus.
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
            error => Self::Bus(error),
        }
    }
}

/// Runs the agent until SIGTERM or SIGINT; every container is destroyed then, or left to the next
/// agent. What `store` has of an earlier agent goes on.
///
/// # Errors
/// [`DaemonError`]; the same becomes of containers then.
pub fn run(config: Config, store: DescriptorStore) -> Result<End, DaemonError> {
    // Containers inherit it, and their users must get at what is made for them.
    umask(Mode::S_IWGRP | Mode::S_IWOTH);
    // Blocked before any thread starts, so that the signals reach no other.
    let signals = StopSignals::block().map_err(DaemonError::System)?;
    let manifests = Store::load_within(
        &config.manifests,
        &config.default_manifests,
        config.manifest_size,
    )?;
    for warning in manifests.warnings() {
        log::warn!("{warning}");
    }
    let executor = Arc::new(Executor::new());
    let stop =
        smol::block_on(executor.run(serve(config, (manifests, store), signals, executor.clone())));
    // The worker threads end with the process.
    stop
}

async fn serve(
    config: Config,
    (manifests, store): (Store, DescriptorStore),
    signals: StopSignals,
    executor: Arc<Executor<'static>>,
) -> Result<End, DaemonError> {
    let (reports, ended) = smol::channel::unbounded();
    let (sender, events) = smol::channel::unbounded();
    let agent = Arc::new(Agent::new(manifests, config.agent.clone()));
    let log_refused = config.bridge.log_refused;
    let (on_stop, can_keep) = (config.agent.on_stop, store.is_there());
    let (session, pending_calls) = (config.use_session_bus, config.pending_calls);
    if store.is_empty() {
        agent.settle();
    }
    // The name comes first: who does not get it must not touch the containers of the agent that has
    // it. Calls that come before everything is prepared are answered, except that Create waits.
    let on_bus = bus::serve(session, agent.clone(), executor.clone(), pending_calls).await?;
    // Held until the end.
    let own = Own::take(&config)?;
    let (lxc_path, own_paths) = (own.lxc_path.clone(), own.paths());
    let telling = executor.spawn(on_bus.tell_ends(ended.clone()));
    let told = executor.spawn(on_bus.tell(events));
    let channels = (reports, sender);
    let preparing = executor.clone();
    let store = Arc::new(store);
    let prepare = unblock(move || prepare(config, lxc_path, own_paths, preparing, channels, store));
    let preparing = executor.spawn({
        let agent = agent.clone();
        async move {
            let prepared = prepare.await;
            if let Err(error) = &prepared {
                log::error!("{}", Chain(error));
            }
            agent.set_prepared(prepared).await;
            watchdog::notify(NotifyState::Ready);
        }
    });
    let feeding = executor.spawn(watchdog::feed());
    let followed = executor.spawn({
        let agent = agent.clone();
        async move { agent.follow_host().await }
    });
    let logged = log_refused.then(|| {
        let agent = agent.clone();
        executor.spawn(async move { agent.follow_refused_packets().await })
    });
    let lost = async {
        on_bus.lost().await;
        Err(DaemonError::BusLost)
    };
    let requested = async {
        signals
            .requested(can_keep)
            .await
            .map_err(DaemonError::System)
    };
    let result = smol::future::or(requested, lost).await;
    agent.begin_stop();
    let on_stop = match result {
        // It does not stop, but starts again.
        Ok(End::Replace) => OnStop::Keep,
        _ => {
            let keeps = can_keep && on_stop == OnStop::Keep;
            let keeps = keeps && !stops_for_good(session, on_bus.connection()).await;
            watchdog::notify(NotifyState::Stopping);
            if keeps { OnStop::Keep } else { OnStop::Destroy }
        }
    };
    // What it makes, such as the bridge, is undone below. Whatever it has not come to when it takes
    // too long is left to the next agent.
    smol::future::or(preparing, after(PREPARE_LIMIT)).await;
    let any_left = agent.end_all(on_stop).await;
    // Whatever could end has ended. What the bus does not take in time is left to the next agent.
    ended.close();
    smol::future::or(telling, after(TELL_LIMIT)).await;
    if any_left {
        // What containers use that go on is not undone by anybody.
        std::mem::forget(agent.clone());
    } else {
        agent.leave_host().await;
    }
    drop((told, feeding, followed, logged, own));
    result
}

async fn after(time: Duration) {
    Timer::after(time).await;
}

/// The directories that the agent has for itself.
struct Own {
    directories: [OwnDirectory; 2],
    /// Where LXC keeps its containers.
    lxc_path: PathBuf,
}

impl Own {
    fn take(config: &Config) -> Result<Self, OwnDirectoryError> {
        let (places, config) = (&config.places, &config.container);
        let lxc_path = config
            .lxc_path
            .clone()
            .or_else(lxc::default_path)
            .unwrap_or_else(|| FALLBACK_LXC_PATH.into());
        let directories = [
            OwnDirectory::take(places.of("shared-mounts-dir"), &config.shared_mounts_dir)?,
            OwnDirectory::take(places.of("lxc-path"), &lxc_path)?,
        ];
        let own_users = config.user_namespace != UserNamespace::Off;
        if own_users && user_namespace::obstacle().is_none() {
            directories[0].check_passable()?;
        }
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
