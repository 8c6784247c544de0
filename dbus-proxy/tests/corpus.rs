//! What fuzzing has found worth keeping goes through the parsers again.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "../../fuzz/entries/dbus_auth.rs"]
mod dbus_auth;
#[path = "../../fuzz/entries/dbus_message.rs"]
mod dbus_message;
#[path = "../../fuzz/entries/dbus_rules.rs"]
mod dbus_rules;

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
fn dbus_auth_goes_through() {
    replay("fuzz/seeds/dbus_auth", dbus_auth::run);
}

#[test]
fn dbus_message_goes_through() {
    replay("fuzz/seeds/dbus_message", dbus_message::run);
}

#[test]
fn dbus_rules_goes_through() {
    replay("fuzz/seeds/dbus_rules", dbus_rules::run);
}
