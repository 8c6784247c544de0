//! The agent: all containers by their IDs, and the calls on them.
//!
//! Calls on one container come one after the other; those on different ones do not wait for each
//! other. What blocks runs on worker threads.

mod config;
mod error;
mod stop;
mod stop_signal;

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use smol::{
    Timer,
    lock::{Mutex as AsyncMutex, OnceCell},
};
use softwarecontainer_capability::Store;

pub use config::AgentConfig;
pub use error::{AgentError, PrepareError};
use stop_signal::Stop;

use crate::{
    container::{
        Container, Execution, Shared,
        options::{self, ContainerOptions},
        processes::{Number, Processes},
    },
    error_chain::Chain,
    host::{credentials::Credentials, kernel},
    runtime::unblock,
};

/// Who calls, as the bus knows them; `None` when it does not tell.
pub type Caller<'a> = Option<&'a Credentials>;

/// How long changes of the host's files are waited for after a first one.
const CHANGES_PAUSE: Duration = Duration::from_millis(200);

/// A container, used by one call at a time; `None` once it is destroyed.
type Locked = Arc<AsyncMutex<Option<Container>>>;

/// All containers, and what they share.
pub struct Agent {
    store: Store,
    config: AgentConfig,
    shared: OnceCell<Result<Arc<Shared>, Arc<PrepareError>>>,
    containers: Mutex<BTreeMap<i32, Slot>>,
    stop: Stop,
}

/// What an ID stands for.
struct Slot {
    /// The user who asked for it.
    creator: u32,
    /// The container; `None` while it is being created.
    container: Option<Locked>,
}

/// A process that `Execute` has started, whose reply is still to be sent.
pub struct Started {
    /// Its process ID on the host.
    pub pid: i32,
    processes: Arc<Processes>,
    number: Number,
}

impl Started {
    /// Tells that the reply is on its way, so that the end of the process may be told.
    pub fn announced(&self) {
        self.processes.announced(self.number);
    }
}

impl Agent {
    /// An agent without containers that offers the capabilities of `store`.
    pub fn new(store: Store, config: AgentConfig) -> Self {
        Self {
            store,
            config,
            shared: OnceCell::new(),
            containers: Mutex::default(),
            stop: Stop::default(),
        }
    }

    /// Gives the agent what containers need, or why they cannot have it; calls of `Create` wait for
    /// this.
    pub async fn set_prepared(&self, prepared: Result<Shared, PrepareError>) {
        let prepared = prepared.map(Arc::new).map_err(Arc::new);
        // A second call would be a mistake in the daemon; the first one counts.
        let _ = self.shared.set(prepared).await;
    }

    fn slots(&self) -> MutexGuard<'_, BTreeMap<i32, Slot>> {
        self.containers
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// The IDs of the containers that `caller` may see.
    pub fn list(&self, caller: Caller<'_>) -> Vec<i32> {
        let seen = |(id, slot): (&i32, &Slot)| {
            (slot.container.is_some() && self.may_see(slot, caller)).then_some(*id)
        };
        self.slots().iter().filter_map(seen).collect()
    }

    /// A launcher sees the containers that its own user created; root and administrators see all.
    fn may_see(&self, slot: &Slot, caller: Caller<'_>) -> bool {
        caller.is_some_and(|caller| {
            let user = caller.user;
            user == 0 || user == slot.creator || self.config.administrators.contains(&user)
        })
    }

    fn all(&self) -> Vec<(i32, Locked)> {
        let slots = self.slots();
        let created = slots.iter().filter_map(|(id, slot)| {
            let locked = slot.container.as_ref()?;
            Some((*id, locked.clone()))
        });
        created.collect()
    }

    /// The names of the capabilities that can be asked for.
    pub fn capabilities(&self) -> Vec<String> {
        self.store.names().map(str::to_owned).collect()
    }

    /// Makes and starts a container; its ID.
    ///
    /// # Errors
    /// [`AgentError`]; no ID is used up then.
    pub async fn create(&self, config: &str, caller: Caller<'_>) -> Result<i32, AgentError> {
        self.stop.check()?;
        let creator = caller.ok_or(AgentError::UnknownCaller)?.user;
        let limit = self.config.options_length;
        if u32::try_from(config.len()).map_or(true, |size| size > limit) {
            return Err(AgentError::OptionsTooLong {
                size: config.len(),
                limit,
            });
        }
        let (options, unknown) = options::parse(config)?;
        let (size, most) = (options.size, self.config.largest_root_tree);
        if let Some(size) = size.filter(|size| *size > most) {
            return Err(AgentError::RootTreeTooLarge { size, limit: most });
        }
        for key in unknown {
            log::warn!("container options: unknown key {key:?} ignored");
        }
        let shared = self.prepared().await?;
        let id = self.reserve(creator)?;
        let mut reservation = Reservation {
            agent: self,
            id,
            done: false,
        };
        let container = create(shared, id, options).await?;
        let locked = Arc::new(AsyncMutex::new(Some(container)));
        let container = Some(locked);
        self.slots().insert(id, Slot { creator, container });
        self.stop.note_change();
        log::info!("container {id} created for user {creator}");
        reservation.done = true;
        Ok(id)
    }

    /// What containers share, once it is prepared.
    async fn prepared(&self) -> Result<Arc<Shared>, AgentError> {
        let prepared = async { Some(self.shared.wait().await.clone()) };
        let stopped = async {
            self.stop.begun().await;
            None
        };
        match smol::future::or(prepared, stopped).await {
            Some(prepared) => prepared.map_err(AgentError::NotReady),
            None => Err(AgentError::Stopping),
        }
    }

    /// The lowest free ID, taken.
    fn reserve(&self, creator: u32) -> Result<i32, AgentError> {
        let mut slots = self.slots();
        // Looked at with the slots locked: a stop either sees this one, or is seen here.
        self.stop.check()?;
        let limit = self.config.containers;
        let ids = 0..i32::try_from(limit).unwrap_or(i32::MAX);
        let free = ids.into_iter().find(|id| !slots.contains_key(id));
        let id = free.ok_or(AgentError::TooMany { limit })?;
        let container = None;
        slots.insert(id, Slot { creator, container });
        Ok(id)
    }

    /// A container that `caller` may not see counts as one that is not there.
    fn find(&self, id: i32, caller: Caller<'_>) -> Result<Locked, AgentError> {
        self.stop.check()?;
        let slots = self.slots();
        let slot = slots.get(&id).filter(|slot| self.may_see(slot, caller));
        slot.and_then(|slot| slot.container.clone())
            .ok_or(AgentError::NoContainer { id })
    }

    /// Does `work` on container `id` in a worker thread, after the calls on it that came before.
    async fn with<T, F>(&self, id: i32, caller: Caller<'_>, work: F) -> Result<T, AgentError>
    where
        T: Send + 'static,
        F: FnOnce(&mut Container) -> Result<T, AgentError> + Send + 'static,
    {
        let locked = self.find(id, caller)?;
        let stop = self.stop.clone();
        with(id, locked, move |container| {
            // It may have waited for others.
            stop.check()?;
            work(container)
        })
        .await
    }

    /// Ends every process of a container, and removes everything that it used.
    ///
    /// # Errors
    /// [`AgentError`]; the container then can only be destroyed again.
    pub async fn destroy(&self, id: i32, caller: Caller<'_>) -> Result<(), AgentError> {
        let locked = self.find(id, caller)?;
        self.remove(id, locked).await
    }

    async fn remove(&self, id: i32, locked: Locked) -> Result<(), AgentError> {
        let mut guard = locked.lock_arc().await;
        unblock(move || match guard.as_mut() {
            Some(container) => {
                container.destroy()?;
                *guard = None;
                // What the container needed is not needed until the next one.
                crate::host::sys::give_back_heap();
                Ok(())
            }
            None => Err(AgentError::NoContainer { id }),
        })
        .await?;
        self.slots().remove(&id);
        Ok(())
    }

    /// Freezes a container.
    ///
    /// # Errors
    /// [`AgentError`].
    pub async fn suspend(&self, id: i32, caller: Caller<'_>) -> Result<(), AgentError> {
        self.with(id, caller, |container| Ok(container.suspend()?))
            .await
    }

    /// Thaws a container.
    ///
    /// # Errors
    /// [`AgentError`].
    pub async fn resume(&self, id: i32, caller: Caller<'_>) -> Result<(), AgentError> {
        self.with(id, caller, |container| Ok(container.resume()?))
            .await
    }

    /// Mounts a host path in a container, as far as the caller could use it.
    ///
    /// # Errors
    /// [`AgentError`].
    pub async fn bind_mount(
        &self,
        id: i32,
        caller: Caller<'_>,
        host: PathBuf,
        container: PathBuf,
        read_only: bool,
    ) -> Result<(), AgentError> {
        let owned = caller.cloned();
        let work = move |it: &mut Container| {
            Ok(it.bind_mount(&host, &container, read_only, owned.as_ref())?)
        };
        self.with(id, caller, work).await
    }

    /// Applies the default capabilities and the named ones.
    ///
    /// # Errors
    /// [`AgentError`]; the container then is as before.
    pub async fn set_capabilities(
        &self,
        id: i32,
        caller: Caller<'_>,
        names: &[String],
    ) -> Result<(), AgentError> {
        if names.is_empty() {
            return self
                .with(id, caller, |container| {
                    Ok(container.require_ready("set capabilities")?)
                })
                .await;
        }
        let selected = self.store.select(names);
        self.with(id, caller, move |container| {
            container.require_ready("set capabilities")?;
            Ok(container.set_capabilities(&selected?)?)
        })
        .await
    }

    /// Starts a process in a container; applies the default capabilities first if none were ever
    /// set.
    ///
    /// # Errors
    /// [`AgentError`].
    pub async fn execute(&self, id: i32, execution: Execution) -> Result<Started, AgentError> {
        let defaults = self.store.defaults().to_vec();
        let caller = execution.caller.clone();
        self.with(id, caller.as_ref(), move |container| {
            container.require_ready("execute")?;
            container.set_defaults(&defaults)?;
            let (processes, number, pid) = container.execute(&execution)?;
            let pid = i32::try_from(pid).unwrap_or_default();
            Ok(Started {
                pid,
                processes,
                number,
            })
        })
        .await
    }

    /// Undoes what was prepared on the host, after the last container; for the agent's end.
    pub async fn leave_host(&self) {
        let Some(Ok(shared)) = self.shared.get().cloned() else {
            return;
        };
        shared.lxc.remove_alias();
        if let Err(error) = unblock(move || shared.network.stop()).await {
            log::error!(
                "the containers' network is not undone completely: {}",
                Chain(&error)
            );
        }
    }

    /// Follows what is made anew or removed on the host, in every container, as long as the agent
    /// runs.
    pub async fn follow_host(&self) {
        let Ok(shared) = self.shared.wait().await else {
            return;
        };
        while let Ok(()) = shared.watch.changed().await {
            self.refresh_gateways().await;
        }
    }

    /// Looks up the host names in rules, and lets every container follow what they stand for, as
    /// long as the agent runs.
    pub async fn follow_host_names(&self) {
        let Ok(shared) = self.shared.wait().await else {
            return;
        };
        let executor = shared.executor.clone();
        let spawn = |work: Box<dyn FnOnce() + Send>| executor.spawn(unblock(work)).detach();
        let changed = || self.refresh_gateways();
        shared.network.host_names().follow(spawn, changed).await;
    }

    /// Lets the gateways of every container follow what has changed on the host.
    async fn refresh_gateways(&self) {
        for (id, locked) in self.all() {
            let refreshed = with(id, locked, |container| {
                container.refresh_gateways();
                Ok(())
            });
            // One that was destroyed in the meantime has nothing to follow.
            let _ = refreshed.await;
        }
    }

    /// Follows changes of the host's files that containers see, as long as the agent runs.
    pub async fn follow_host_files(&self) {
        let Ok(shared) = self.shared.wait().await else {
            return;
        };
        while let Ok(()) = shared.host_files.changed().await {
            // Changes rarely come alone: a package has many files.
            Timer::after(CHANGES_PAUSE).await;
            let shared = shared.clone();
            let names = shared.network.host_names().clone();
            unblock(move || shared.host_files.update()).await;
            // Name servers may be among them.
            names.network_changed();
        }
    }
}

async fn with<T, F>(id: i32, locked: Locked, work: F) -> Result<T, AgentError>
where
    T: Send + 'static,
    F: FnOnce(&mut Container) -> Result<T, AgentError> + Send + 'static,
{
    let mut container = locked.lock_arc().await;
    unblock(move || match container.as_mut() {
        Some(container) => work(container),
        None => Err(AgentError::NoContainer { id }),
    })
    .await
}

async fn create(
    shared: Arc<Shared>,
    id: i32,
    options: ContainerOptions,
) -> Result<Container, AgentError> {
    let lacks = shared.kernel_lacks.clone();
    let created = unblock(move || Container::create(shared, id, &options)).await;
    created.map_err(|error| match kernel::explanation(&lacks) {
        Some(kernel) => AgentError::Create { error, kernel },
        None => error.into(),
    })
}

/// A reserved ID, given back unless the container comes to be.
struct Reservation<'a> {
    agent: &'a Agent,
    id: i32,
    done: bool,
}

impl Drop for Reservation<'_> {
    fn drop(&mut self) {
        if !self.done {
            self.agent.slots().remove(&self.id);
            self.agent.stop.note_change();
        }
    }
}
