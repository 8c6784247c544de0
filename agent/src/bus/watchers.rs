//! Who is told what happens: the clients that have asked. Signals go to each of them alone, because
//! they tell of containers that not everybody may see, and nobody is woken up who has not asked.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use zbus::Connection;

use super::{caller::Identity, error::ManagerError, peers};
use crate::{agent::Agent, container::facts::Facts};

/// How many clients may watch.
const LIMIT: usize = 64;

/// All clients that watch.
pub struct Watchers {
    agent: Arc<Agent>,
    by_name: Mutex<HashMap<String, Identity>>,
}

impl Watchers {
    /// None yet.
    pub fn new(agent: Arc<Agent>) -> Self {
        Self {
            agent,
            by_name: Mutex::default(),
        }
    }

    fn by_name(&self) -> MutexGuard<'_, HashMap<String, Identity>> {
        self.by_name.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A client watches from now on, until it leaves the bus.
    ///
    /// # Errors
    /// There are too many.
    pub async fn add(
        &self,
        connection: &Connection,
        name: &str,
        identity: Identity,
    ) -> Result<(), ManagerError> {
        {
            let mut watchers = self.by_name();
            if watchers.contains_key(name) {
                return Ok(());
            }
            if watchers.len() >= LIMIT {
                let text = format!("{LIMIT} clients watch already");
                return Err(ManagerError::new(ManagerError::LIMIT_REACHED, text));
            }
            watchers.insert(name.to_owned(), identity);
        }
        if !peers::watch(connection, name).await {
            self.left(name);
        }
        Ok(())
    }

    /// A client no longer watches.
    pub async fn remove(&self, connection: &Connection, name: &str) {
        if self.left(name) {
            peers::forget(connection, name).await;
        }
    }

    /// A client has left the bus; whether it watched.
    pub fn left(&self, name: &str) -> bool {
        self.by_name().remove(name).is_some()
    }

    /// The clients that watch and may see a container.
    pub fn of(&self, facts: &Facts) -> Vec<String> {
        let watchers = self.by_name();
        let seeing = watchers
            .iter()
            .filter(|(_, identity)| self.agent.may_see(facts, identity.credentials.as_ref()));
        seeing.map(|(name, _)| name.clone()).collect()
    }
}
