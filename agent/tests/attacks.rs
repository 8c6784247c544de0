//! Attacks by root in a container with the default capabilities: each is refused for the right
//! reason, and the host and the agent go on.
//!
//! What attacks is agent/tests/attacks/attacker.py. scripts/protections.sh runs this with
//! protections switched off.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "attacks/calls.rs"]
mod calls;
mod compositor;
#[path = "attacks/devices.rs"]
mod devices;
#[path = "attacks/escapes.rs"]
mod escapes;
#[path = "attacks/feigned_death.rs"]
mod feigned_death;
#[path = "attacks/host_paths.rs"]
mod host_paths;
#[path = "attacks/kernel.rs"]
mod kernel;
#[path = "attacks/landlock.rs"]
mod landlock;
#[path = "attacks/lxc_socket.rs"]
mod lxc_socket;
#[path = "attacks/media.rs"]
mod media;
#[path = "attacks/mounts.rs"]
mod mounts;
#[path = "attacks/namespaces.rs"]
mod namespaces;
mod newer_debian;
#[path = "attacks/output.rs"]
mod output;
mod pipewire_daemon;
#[path = "attacks/processes.rs"]
mod processes;
mod pulse;
#[path = "attacks/races.rs"]
mod races;
#[path = "attacks/resources.rs"]
mod resources;
#[path = "attacks/second_user.rs"]
mod second_user;
#[path = "attacks/submounts.rs"]
mod submounts;
mod support;
mod unable;
#[path = "attacks/world.rs"]
mod world;
