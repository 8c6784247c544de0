//! What a launcher left that was killed: its app still runs, and a second copy on the same home
//! would spoil it.
//!
//! IDs of containers are used again, so it is made sure of what the note of the app names
//! ([`crate::identity`]).

use crate::{agent::Agent, error::Error, identity::Process, state::Note};

/// Removes the container that an earlier launcher of this app has left, if there is one.
pub async fn end(agent: &Agent, name: &str, note: &mut Note) -> Result<(), Error> {
    let Some((made, process)) = note.take_left() else {
        return Ok(());
    };
    if !agent.list().await?.contains(&made.container) {
        return Ok(());
    }
    let same_agent = made.is_of(&agent.instance().await?);
    if !(same_agent || process.is_some_and(Process::runs)) {
        return Ok(());
    }
    eprintln!(
        "{name}: ending what its last launcher left in container {}",
        made.container
    );
    agent.destroy(made.container).await
}
