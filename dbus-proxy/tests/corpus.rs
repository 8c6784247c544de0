//! What fuzzing has found worth keeping goes through the parsers again.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "../../fuzz/entries/dbus_auth.rs"]
mod dbus_auth;
#[path = "../../fuzz/entries/dbus_message.rs"]
mod dbus_message;
#[path = "../../fuzz/entries/dbus_rules.rs"]
mod dbus_rules;
#[path = "../../fuzz/replay.rs"]
mod replay;

use replay::replay;

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
