//! The D-Bus API, row by row, against a real agent, bus and containers.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod adoption;
mod bind_mount;
mod capabilities;
mod containers;
mod execute;
mod gateways;
mod hanging_lxc;
mod held_up;
mod interface;
mod mistakes;
mod neighbours;
mod options;
mod output_file;
mod restart;
mod startup;
mod submounts;
#[path = "../support/mod.rs"]
mod support;
mod systemd;
mod two_agents;
#[path = "../unable/mod.rs"]
mod unable;
mod unit;
mod user_namespace;
mod users;

use support::client::CallError;

/// The text of a call's error, which must be `org.freedesktop.DBus.Error.Failed`.
fn failure<T: std::fmt::Debug>(result: Result<T, CallError>) -> String {
    let (name, text) = result.unwrap_err();
    assert_eq!(name, "org.freedesktop.DBus.Error.Failed", "{text}");
    assert!(!text.is_empty());
    text
}

/// Checks that the error of a call names everything that it is about.
#[track_caller]
fn fails_with<T: std::fmt::Debug>(result: Result<T, CallError>, parts: &[&str]) {
    let text = failure(result);
    for part in parts {
        assert!(text.contains(part), "{part:?} is missing from {text:?}");
    }
}
