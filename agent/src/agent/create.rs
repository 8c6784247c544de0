//! Making a container: an ID is taken first, and given back when it does not come to be.

use std::{collections::BTreeMap, sync::Arc};

use smol::lock::Mutex as AsyncMutex;

use super::{Agent, AgentError, Caller, Slot};
use crate::{
    container::{
        Container, Shared,
        facts::{Facts, Label},
        options::{self, ContainerOptions},
    },
    host::{kernel, sys::give_back_heap},
    runtime::unblock,
};

/// What a container is to be.
#[derive(Debug, Default)]
pub struct Creation<'a> {
    /// Its options, as JSON.
    pub options: &'a str,
    /// Who it is for.
    pub label: Label,
    /// Variables of every process in it.
    pub environment: BTreeMap<String, String>,
}

impl Agent {
    /// Makes and starts a container; its ID.
    ///
    /// # Errors
    /// [`AgentError`]; no ID is used up then.
    pub async fn create(
        &self,
        creation: Creation<'_>,
        caller: Caller<'_>,
    ) -> Result<i32, AgentError> {
        let config = creation.options;
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
        if let Some(asked) = options.host_user
            && ![0, asked].contains(&creator)
        {
            let caller = creator;
            return Err(AgentError::HostUser { asked, caller });
        }
        for key in unknown {
            log::warn!("container options: unknown key {key:?} ignored");
        }
        let shared = self.prepared().await?;
        let facts = self.reserve(creator, creation.label, config, &shared)?;
        let id = facts.id;
        let mut reservation = Reservation {
            agent: self,
            id,
            done: false,
        };
        let environment = creation.environment;
        let container = create(shared, facts.clone(), options, environment).await?;
        let slot = Slot {
            facts: facts.clone(),
            container: Some(Arc::new(AsyncMutex::new(Some(container)))),
        };
        self.slots().insert(id, slot);
        facts.created();
        self.stop.note_change();
        log::info!("container {id} created for user {creator}");
        reservation.done = true;
        Ok(id)
    }

    /// Returns when containers can be made.
    ///
    /// # Errors
    /// [`AgentError`]: they never can, or the agent stops.
    pub async fn ready(&self) -> Result<(), AgentError> {
        self.prepared().await.map(drop)
    }

    /// What containers share, once it is prepared.
    pub(super) async fn prepared(&self) -> Result<Arc<Shared>, AgentError> {
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
    fn reserve(
        &self,
        creator: u32,
        label: Label,
        options: &str,
        shared: &Shared,
    ) -> Result<Arc<Facts>, AgentError> {
        let mut slots = self.slots();
        // Looked at with the slots locked: a stop either sees this one, or is seen here.
        self.stop.check()?;
        let limit = self.config.containers;
        let ids = 0..i32::try_from(limit).unwrap_or(i32::MAX);
        let free = ids.into_iter().find(|id| !slots.contains_key(id));
        let id = free.ok_or(AgentError::TooMany { limit })?;
        let (options, events) = (options.to_owned(), shared.events.clone());
        let facts = Facts::new(id, creator, label, options, events);
        let slot = Slot {
            facts: facts.clone(),
            container: None,
        };
        slots.insert(id, slot);
        Ok(facts)
    }
}

async fn create(
    shared: Arc<Shared>,
    facts: Arc<Facts>,
    options: ContainerOptions,
    environment: BTreeMap<String, String>,
) -> Result<Container, AgentError> {
    let lacks = shared.kernel_lacks.clone();
    let created = unblock(move || {
        let created = Container::create(shared, facts, &options, environment);
        // Most of what a start needs is not needed after it.
        give_back_heap();
        created
    })
    .await;
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
