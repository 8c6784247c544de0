//! The configuration file.
#![no_main]

#[path = "../entries/configuration.rs"]
mod entry;

libfuzzer_sys::fuzz_target!(|input: &[u8]| entry::run(input));
