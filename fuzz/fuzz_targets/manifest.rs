//! Manifests, and the merging of what their capabilities ask of the gateways.
#![no_main]

#[path = "../entries/manifest.rs"]
mod entry;

libfuzzer_sys::fuzz_target!(|input: &[u8]| entry::run(input));
