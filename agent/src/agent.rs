//! The agent: all containers by their IDs, and the calls on them.
//!
//! Calls on one container come one after the other; those on different ones do not wait for each
//! other. What blocks runs on worker threads.

mod adopt;
mod config;
mod create;
mod diagnose;
mod ended;
mod error;
mod follow;
mod refused_packet;
mod stop;
mod stop_signal;

use std::{
    collections::BTreeMap,
    os::fd::OwnedFd,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use smol::{
    channel::{Receiver, Sender},
    lock::{Mutex as AsyncMutex, OnceCell},
};
use softwarecontainer_capability::{GatewayConfig, Store};

pub use config::{AgentConfig, OnStop};
pub use create::Creation;
pub use diagnose::Finding;
pub use error::{AgentError, PrepareError};
use stop_signal::Stop;

use crate::{
    container::{
        Container, Execution, Reason, Shared,
        adopt::Left,
        facts::Facts,
        processes::{Number, Processes},
    },
    error_chain::Chain,
    host::credentials::Credentials,
    runtime::unblock,
};

/// Who calls, as the bus knows them; `None` when it does not tell.
pub type Caller<'a> = Option<&'a Credentials>;

/// A container, used by one call at a time; `None` once it is destroyed.
type Locked = Arc<AsyncMutex<Option<Container>>>;

/// All containers, and what they share.
pub struct Agent {
    store: Store,
    config: AgentConfig,
    shared: OnceCell<Result<Arc<Shared>, Arc<PrepareError>>>,
    containers: Mutex<BTreeMap<i32, Slot>>,
    stop: Stop,
    /// Closed once containers of an earlier agent are there.
    settled: Sender<()>,
    until_settled: Receiver<()>,
}

/// What an ID stands for.
struct Slot {
    /// What is told of it.
    facts: Arc<Facts>,
    /// The container; `None` while it is being created.
    container: Option<Locked>,
}

/// A process that `Execute` has started, whose reply is still to be sent.
pub struct Started {
    /// Its process ID on the host.
    pub pid: u32,
    /// The near end of its terminal, if it has one.
    pub terminal: Option<OwnedFd>,
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
        let (settled, until_settled) = smol::channel::bounded(1);
        Self {
            store,
            config,
            shared: OnceCell::new(),
            containers: Mutex::default(),
            stop: Stop::default(),
            settled,
            until_settled,
        }
    }

    /// No container of an earlier agent comes any more.
    pub fn settle(&self) {
        self.settled.close();
    }

    /// Returns when containers that an earlier agent has left are there or gone: nobody is to
    /// believe before that there are none.
    pub async fn settled(&self) {
        let settled = async {
            // Nothing is ever sent.
            let _ = self.until_settled.recv().await;
        };
        smol::future::or(settled, self.stop.begun()).await;
    }

    /// Gives the agent what containers need, or why they cannot have it; calls of `Create` wait for
    /// this.
    ///
    /// Goes on with the containers that an earlier agent has left.
    pub async fn set_prepared(&self, prepared: Result<(Shared, Vec<Left>), PrepareError>) {
        let prepared = match prepared {
            Ok((shared, left)) => {
                let shared = Arc::new(shared);
                self.adopt(&shared, left).await;
                Ok(shared)
            }
            Err(error) => Err(Arc::new(error)),
        };
        self.settle();
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
        self.seen(caller).iter().map(|facts| facts.id).collect()
    }

    /// What is told of the containers that `caller` may see.
    pub fn seen(&self, caller: Caller<'_>) -> Vec<Arc<Facts>> {
        let created = |slot: &&Slot| slot.container.is_some();
        let slots = self.slots();
        let all = slots.values().filter(created).map(|slot| &slot.facts);
        all.filter(|facts| self.may_see(facts, caller))
            .cloned()
            .collect()
    }

    /// What is told of one container.
    ///
    /// # Errors
    /// [`AgentError::NoContainer`], also where `caller` may not see it.
    pub fn facts(&self, id: i32, caller: Caller<'_>) -> Result<Arc<Facts>, AgentError> {
        let slots = self.slots();
        let created = slots.get(&id).filter(|slot| slot.container.is_some());
        let facts = created.map(|slot| &slot.facts);
        let seen = facts.filter(|facts| self.may_see(facts, caller));
        seen.cloned().ok_or(AgentError::NoContainer { id })
    }

    /// Whether any container has that ID.
    pub fn has(&self, id: i32) -> bool {
        self.slots().contains_key(&id)
    }

    /// A launcher sees the containers that its own user created; root and administrators see all.
    pub fn may_see(&self, facts: &Facts, caller: Caller<'_>) -> bool {
        caller.is_some_and(|caller| {
            let user = caller.user;
            user == 0 || user == facts.creator || self.config.administrators.contains(&user)
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

    /// Removes a container whose creator has left the bus.
    pub async fn creator_left(&self, facts: &Arc<Facts>) {
        // Its ID may be that of another one by now.
        let locked = self.slots().get(&facts.id).and_then(|slot| {
            let is_same = Arc::ptr_eq(&slot.facts, facts);
            slot.container.clone().filter(|_| is_same)
        });
        let Some(locked) = locked else { return };
        let id = facts.id;
        match self.remove(id, locked, Reason::CreatorLeft).await {
            Ok(()) => log::info!("container {id} destroyed: its creator has left the bus"),
            Err(AgentError::NoContainer { .. }) => {}
            Err(error) => log::error!(
                "container {id}, whose creator has left the bus: {}",
                Chain(&error)
            ),
        }
    }

    /// What capabilities ask of gateways: the named ones, or all, default capabilities included.
    ///
    /// # Errors
    /// No manifest has one of that name.
    pub fn described(&self, names: &[String]) -> Result<Vec<GatewayConfig>, AgentError> {
        match names {
            [] => Ok(self.store.all().cloned().collect()),
            names => Ok(self.store.named(names)?),
        }
    }

    /// The names of the capabilities that can be asked for.
    pub fn capabilities(&self) -> Vec<String> {
        self.store.names().map(str::to_owned).collect()
    }

    /// A container that `caller` may not see counts as one that is not there.
    fn find(&self, id: i32, caller: Caller<'_>) -> Result<Locked, AgentError> {
        self.stop.check()?;
        let slots = self.slots();
        let slot = slots
            .get(&id)
            .filter(|slot| self.may_see(&slot.facts, caller));
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
        self.remove(id, locked, Reason::Call).await
    }

    async fn remove(&self, id: i32, locked: Locked, reason: Reason) -> Result<(), AgentError> {
        let removed = self.remove_if(id, locked, reason, |_| true).await;
        removed.map(drop)
    }

    /// Removes a container if it is `wanted`; returns whether it was.
    async fn remove_if(
        &self,
        id: i32,
        locked: Locked,
        reason: Reason,
        wanted: fn(&Container) -> bool,
    ) -> Result<bool, AgentError> {
        let mut guard = locked.lock_arc().await;
        let removed = unblock(move || match guard.as_mut() {
            Some(container) if !wanted(container) => Ok(false),
            Some(container) => {
                container.destroy(reason)?;
                *guard = None;
                // What the container needed is not needed until the next one.
                crate::host::sys::give_back_heap();
                Ok(true)
            }
            None => Err(AgentError::NoContainer { id }),
        })
        .await?;
        if removed && let Some(slot) = self.slots().remove(&id) {
            slot.facts.removed(reason);
        }
        Ok(removed)
    }

    /// Freezes a container.
    ///
    /// # Errors
    /// [`AgentError`].
    pub async fn suspend(&self, id: i32, caller: Caller<'_>) -> Result<(), AgentError> {
        self.with(id, caller, |container| Ok(container.suspend()?))
            .await
    }

    /// Takes the memory of a suspended container; how many bytes that was.
    ///
    /// # Errors
    /// [`AgentError`].
    pub async fn reclaim(&self, id: i32, caller: Caller<'_>) -> Result<u64, AgentError> {
        self.with(id, caller, |container| Ok(container.reclaim()?))
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
        let launcher = caller.and_then(|it| it.process);
        self.with(id, caller, move |container| {
            container.require_ready("set capabilities")?;
            Ok(container.set_capabilities(&selected?, launcher)?)
        })
        .await?;
        // Also those that ask nothing of any gateway.
        if let Ok(facts) = self.facts(id, caller) {
            facts.add_capabilities(names.iter().map(String::as_str));
        }
        Ok(())
    }

    /// Starts a process in a container; applies the default capabilities first if none were ever
    /// set.
    ///
    /// # Errors
    /// [`AgentError`].
    pub async fn execute(&self, id: i32, mut execution: Execution) -> Result<Started, AgentError> {
        let defaults = self.store.defaults().to_vec();
        let caller = execution.caller.clone();
        self.with(id, caller.as_ref(), move |container| {
            container.require_ready("execute")?;
            let launcher = execution.caller.as_ref().and_then(|it| it.process);
            container.set_defaults(&defaults, launcher)?;
            let executed = container.execute(&mut execution)?;
            Ok(Started {
                pid: executed.pid,
                terminal: executed.terminal,
                processes: executed.processes,
                number: executed.number,
            })
        })
        .await
    }

    /// Sends a signal to a process that was started in a container.
    ///
    /// # Errors
    /// [`AgentError`].
    pub async fn signal(
        &self,
        id: i32,
        caller: Caller<'_>,
        process: u32,
        signal: i32,
    ) -> Result<(), AgentError> {
        self.with(id, caller, move |container| {
            Ok(container.signal(process, signal)?)
        })
        .await
    }

    /// Undoes what was prepared on the host, after the last container; for the agent's end.
    pub async fn leave_host(&self) {
        let Some(Ok(shared)) = self.shared.get().cloned() else {
            return;
        };
        shared.lxc.remove_alias();
        shared.cgroup_parents.remove();
        if let Err(error) = unblock(move || shared.network.stop()).await {
            log::error!(
                "the containers' network is not undone completely: {}",
                Chain(&error)
            );
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
