//! Tells calls that the agent is about to end, and its end what they do.

use smol::channel::{Receiver, Sender};

use super::error::AgentError;

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

    /// The agent is about to end.
    pub(super) fn begin(&self) {
        self.begin.close();
    }

    /// Returns when an ID was taken or given back since the last look.
    pub(super) async fn changed(&self) {
        let _ = self.changed.recv().await;
    }

    /// An ID was taken or given back.
    pub(super) fn note_change(&self) {
        // A message that is there already does.
        let _ = self.change.try_send(());
    }
}
