//! The agent's end: no further calls, those under way come to theirs, and every container goes.

use std::collections::BTreeSet;

use smol::channel::{Receiver, Sender};

use super::{Agent, AgentError};
use crate::error_chain::Chain;

/// Whether the agent is about to end, and what its end has to wait for.
#[derive(Debug, Clone)]
pub(super) struct Stop {
    /// Closed once the agent is to end; nothing is ever sent.
    begin: Sender<()>,
    begun: Receiver<()>,
    /// Holds a message when an ID was taken or given back since the last look.
    change: Sender<()>,
    changed: Receiver<()>,
}

impl Default for Stop {
    fn default() -> Self {
        let (begin, begun) = smol::channel::bounded(1);
        let (change, changed) = smol::channel::bounded(1);
        Self {
            begin,
            begun,
            change,
            changed,
        }
    }
}

impl Stop {
    /// Fails once the agent is about to end.
    pub(super) fn check(&self) -> Result<(), AgentError> {
        if self.begun.is_closed() {
            return Err(AgentError::Stopping);
        }
        Ok(())
    }

    /// Returns when the agent is about to end.
    pub(super) async fn begun(&self) {
        let _ = self.begun.recv().await;
    }

    /// An ID was taken or given back.
    pub(super) fn note_change(&self) {
        // A message that is there already does.
        let _ = self.change.try_send(());
    }
}

impl Agent {
    /// Refuses calls from now on.
    pub fn begin_stop(&self) {
        self.stop.begin.close();
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
                                if let Err(error) = self.remove(id, locked).await {
                                    log::error!("destroying container {id}: {}", Chain(&error));
                                }
                            }));
                        }
                    }
                    if !self.is_creating() {
                        break;
                    }
                    let _ = self.stop.changed.recv().await;
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
