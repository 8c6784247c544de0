//! What fuzzing has found worth keeping goes through the parsers again.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "../../fuzz/entries/command_line.rs"]
mod command_line;
#[path = "../../fuzz/entries/configuration.rs"]
mod configuration;
#[path = "../../fuzz/entries/container_options.rs"]
mod container_options;
#[path = "../../fuzz/replay.rs"]
mod replay;

use replay::replay;

#[test]
fn command_line_goes_through() {
    replay("fuzz/seeds/command_line", command_line::run);
}

#[test]
fn configuration_goes_through() {
    replay("fuzz/seeds/configuration", configuration::run);
}

#[test]
fn container_options_goes_through() {
    replay("fuzz/seeds/container_options", container_options::run);
}
