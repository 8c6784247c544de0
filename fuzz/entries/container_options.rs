//! The argument of `Create`.

use softwarecontainer_agent::container::options::parse;

/// One execution.
pub fn run(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else {
        return;
    };
    match parse(text) {
        Ok((options, _)) => assert!(options.size != Some(0)),
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}
