//! Authentication: how the bytes are cut makes no difference, and memory is bounded.
#![no_main]

#[path = "../entries/dbus_auth.rs"]
mod entry;

libfuzzer_sys::fuzz_target!(|input: &[u8]| entry::run(input));
