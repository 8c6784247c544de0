//! The rule engine: patterns against their definition, and the lines that bring rules to the proxy.
#![no_main]

#[path = "../entries/dbus_rules.rs"]
mod entry;

libfuzzer_sys::fuzz_target!(|input: &[u8]| entry::run(input));
