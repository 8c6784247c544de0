//! The command line of `Execute`.
#![no_main]

#[path = "../entries/command_line.rs"]
mod entry;

libfuzzer_sys::fuzz_target!(|input: &[u8]| entry::run(input));
