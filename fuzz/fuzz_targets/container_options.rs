//! The argument of `Create`.
#![no_main]

#[path = "../entries/container_options.rs"]
mod entry;

libfuzzer_sys::fuzz_target!(|input: &[u8]| entry::run(input));
