//! Attacks on the host's sound, cameras and screen by apps that may use some of it.

#[path = "media/screen.rs"]
mod screen;
#[path = "media/sockets.rs"]
mod sockets;
#[path = "media/sound.rs"]
mod sound;

use super::world::without;

/// What scripts/protections.sh switches off for these attacks.
pub const PROTECTIONS: [&str; 5] = [
    "security-contexts",
    "pipewire-permissions",
    "pipewire-streams",
    "pipewire-links",
    "pulse-modules",
];
