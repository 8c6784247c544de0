//! The argument of `Create`.
#![no_main]

use libfuzzer_sys::fuzz_target;
use softwarecontainer_agent::container::options::parse;

fuzz_target!(|text: &str| {
    match parse(text) {
        Ok((options, _)) => assert!(options.size != Some(0)),
        Err(error) => assert!(!error.to_string().is_empty()),
    }
});
