//! Containers that are bound to their creators' connections to the bus: they go with them, so that
//! a launcher that dies leaves nothing.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use smol::Executor;
use zbus::Connection;

use super::peers;
use crate::{agent::Agent, container::facts::Facts};

/// All containers that are bound, by the unique names of connections.
pub struct Bound {
    agent: Arc<Agent>,
    executor: Arc<Executor<'static>>,
    by_name: Mutex<HashMap<String, Vec<Arc<Facts>>>>,
}

impl Bound {
    /// None yet.
    pub fn new(agent: Arc<Agent>, executor: Arc<Executor<'static>>) -> Self {
        Self {
            agent,
            executor,
            by_name: Mutex::default(),
        }
    }

    fn by_name(&self) -> MutexGuard<'_, HashMap<String, Vec<Arc<Facts>>>> {
        self.by_name.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A container is there, and goes with the connection that it is bound to, if it is.
    pub async fn add(&self, connection: &Connection, facts: &Arc<Facts>) {
        let Some(name) = &facts.label.bound_to else {
            return;
        };
        let is_first = {
            let mut by_name = self.by_name();
            let bound = by_name.entry(name.clone()).or_default();
            bound.push(facts.clone());
            bound.len() == 1
        };
        if is_first && !peers::watch(connection, name).await {
            self.left(name);
        }
    }

    /// A container is gone.
    pub async fn remove(&self, connection: &Connection, facts: &Arc<Facts>) {
        let Some(name) = &facts.label.bound_to else {
            return;
        };
        let was_last = {
            let mut by_name = self.by_name();
            let Some(bound) = by_name.get_mut(name) else {
                return;
            };
            bound.retain(|it| !Arc::ptr_eq(it, facts));
            bound.is_empty() && by_name.remove(name).is_some()
        };
        if was_last {
            peers::forget(connection, name).await;
        }
    }

    /// A client has left the bus; whether containers were bound to it, which go now.
    pub fn left(&self, name: &str) -> bool {
        let Some(bound) = self.by_name().remove(name) else {
            return false;
        };
        for facts in bound {
            let agent = self.agent.clone();
            let work = async move { agent.creator_left(&facts).await };
            self.executor.spawn(work).detach();
        }
        true
    }
}
