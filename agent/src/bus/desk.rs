//! What all interfaces share.

use std::sync::Arc;

use zbus::{Connection, message::Header};

use super::{
    bound::Bound,
    caller::{Call, Callers, Identity},
    error::ManagerError,
    watchers::Watchers,
};
use crate::agent::Agent;

/// What all interfaces share.
#[derive(Clone)]
pub struct Desk {
    /// The agent.
    pub agent: Arc<Agent>,
    /// Who calls.
    pub callers: Arc<Callers>,
    /// Who is told what happens.
    pub watchers: Arc<Watchers>,
    /// What goes with whom.
    pub bound: Arc<Bound>,
}

impl Desk {
    /// Counts the call of somebody who looks, and says who that is. They are told what changes from
    /// now on.
    ///
    /// # Errors
    /// They have too many calls under way.
    pub async fn look(
        &self,
        connection: &Connection,
        header: &Header<'_>,
    ) -> Result<(Call, Identity), ManagerError> {
        let known = self.callers.know(connection, header).await?;
        if let Some(sender) = header.sender() {
            // Who cannot watch can still look.
            let _ = self.watchers.add(connection, sender, known.1.clone()).await;
        }
        Ok(known)
    }
}
