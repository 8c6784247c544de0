//! Containers whose processes have ended, for launchers that leave it at that.

use super::{Agent, AgentError};
use crate::{
    container::{Container, Reason},
    error_chain::Chain,
};

impl Agent {
    /// To be called when the end of a process in container `id` was told: destroys the container if
    /// the configuration says so and no other process of `Execute` runs there.
    pub async fn process_ended(&self, id: i32) {
        if !self.config.destroy_when_ended || self.stop.check().is_err() {
            return;
        }
        let container = self.slots().get(&id).and_then(|it| it.container.clone());
        let Some(locked) = container else { return };
        let reason = Reason::ProcessesEnded;
        // The ID may be that of a new container by now, where nothing has run yet.
        match self
            .remove_if(id, locked, reason, Container::has_ended)
            .await
        {
            Ok(true) => log::info!("container {id} destroyed: its last process has ended"),
            Ok(false) | Err(AgentError::NoContainer { .. }) => {}
            Err(error) => {
                log::error!(
                    "container {id}, whose last process has ended: {}",
                    Chain(&error)
                );
            }
        }
    }
}
