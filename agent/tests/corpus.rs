//! What fuzzing has found worth keeping goes through the parsers again.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "../../fuzz/entries/command_line.rs"]
mod command_line;
#[path = "../../fuzz/entries/configuration.rs"]
mod configuration;
#[path = "../../fuzz/entries/container_options.rs"]
mod container_options;

use std::{fs, path::Path};

/// Feeds every file of a directory of the tree to `run`, whole and cut short at some places.
fn replay(directory: &str, run: fn(&[u8])) {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("..")
        .join(directory);
    let mut count = 0;
    for entry in fs::read_dir(&directory).unwrap() {
        let bytes = fs::read(entry.unwrap().path()).unwrap();
        for part in 1..=8 {
            run(&bytes[..bytes.len() * part / 8]);
        }
        count += 1;
    }
    assert!(count > 0, "{}", directory.display());
}

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
