//! The agent's end: no further calls, those under way come to theirs, and every container goes.

use std::collections::BTreeSet;

use super::Agent;
use crate::{container::Reason, error_chain::Chain};

impl Agent {
    /// Refuses calls from now on.
    pub fn begin_stop(&self) {
        self.stop.begin();
    }

    /// Destroys every container, all at the same time, and those that are still being created when
    /// they are; for the agent's end, after [`Self::begin_stop`].
    pub async fn destroy_all(&self) {
        let executor = smol::Executor::new();
        executor
            .run(async {
                // Each is destroyed once: one that cannot be is reported, and left.
                let mut seen = BTreeSet::new();
                let mut tasks = Vec::new();
                loop {
                    for (id, locked) in self.all() {
                        if seen.insert(id) {
                            tasks.push(executor.spawn(async move {
                                if let Err(error) =
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
    }

    fn is_creating(&self) -> bool {
        self.slots().values().any(|slot| slot.container.is_none())
    }
}
