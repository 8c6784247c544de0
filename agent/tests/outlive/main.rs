//! What apps use outlives the agent, where somebody keeps its descriptors.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "../buses/mod.rs"]
mod buses;
mod dbus;
mod host_ipc;
mod stop;
#[path = "../support/mod.rs"]
mod support;

use support::TestAgent;

/// Ends the agent with SIGKILL and starts the next one.
fn restart(agent: &mut TestAgent) {
    agent.kill();
    agent.start_agent();
}
