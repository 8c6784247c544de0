//! The agent's end: no further calls, those under way come to theirs, and every container goes.

use std::{
    collections::BTreeSet,
    sync::atomic::{AtomicBool, Ordering},
};

use super::{Agent, Locked, OnStop};
use crate::{container::Reason, error_chain::Chain, runtime::unblock};

impl Agent {
    /// Refuses calls from now on.
    pub fn begin_stop(&self) {
        self.stop.begin();
    }

    /// Destroys every container, or leaves those that it can to the next agent, all at the same
    /// time, and those that are still being created when they are; for the agent's end, after
    /// [`Self::begin_stop`]. Whether any was left: then nothing that they use must go.
    pub async fn end_all(&self, on_stop: OnStop) -> bool {
        let left = AtomicBool::new(false);
        let executor = smol::Executor::new();
        executor
            .run(async {
                // Each is destroyed once: one that cannot be is reported, and left.
                let mut seen = BTreeSet::new();
                let mut tasks = Vec::new();
                loop {
                    for (id, locked) in self.all() {
                        if seen.insert(id) {
                            let left = &left;
                            tasks.push(executor.spawn(async move {
                                if on_stop == OnStop::Keep && leave(locked.clone()).await {
                                    left.store(true, Ordering::Relaxed);
                                } else if let Err(error) =
                                    self.remove(id, locked, Reason::AgentStops).await
                                {
                                    log::error!("destroying container {id}: {}", Chain(&error));
                                }
                            }));
                        }
                    }
                    if !self.is_creating() {
                        break;
                    }
                    self.stop.changed().await;
                }
                for task in tasks {
                    task.await;
                }
            })
            .await;
        left.load(Ordering::Relaxed)
    }

    fn is_creating(&self) -> bool {
        self.slots().values().any(|slot| slot.container.is_none())
    }
}

/// Leaves a container to the next agent, after the call on it that is under way; false if that
/// could not go on with it.
async fn leave(locked: Locked) -> bool {
    let mut guard = locked.lock_arc().await;
    unblock(move || {
        let is_left = guard.as_mut().is_some_and(|container| container.leave());
        if is_left && let Some(container) = guard.take() {
            // Nothing of it is undone.
            std::mem::forget(container);
        }
        is_left
    })
    .await
}
