//! Tests that this machine cannot run: they are counted by scripts/test, and fail where nobody
//! counts.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::{fs::OpenOptions, io::Write as _};

/// Notes that the running test could not do anything, for the summary of scripts/test.
///
/// # Panics
/// Where nothing collects the notes, so that no test passes that did nothing.
pub fn note(reason: &str) {
    let thread = std::thread::current();
    let name = thread.name().unwrap_or("test");
    let Some(file) = std::env::var_os("SOFTWARECONTAINER_TESTS_NOT_RUN") else {
        panic!("this machine cannot run {name}: {reason}");
    };
    let mut file = OpenOptions::new()
        .create(true)
        .append(true)
        .open(file)
        .unwrap();
    file.write_all(format!("{name}: {reason}\n").as_bytes())
        .unwrap();
}
