//! Messages of a container on their way to the bus: the parser, and that nothing passes but what
//! the rule allows.
#![no_main]

#[path = "../entries/dbus_message.rs"]
mod entry;

libfuzzer_sys::fuzz_target!(|input: &[u8]| entry::run(input));
