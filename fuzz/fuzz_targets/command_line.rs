//! The command line of `Execute`.
#![no_main]

use libfuzzer_sys::fuzz_target;
use softwarecontainer_agent::command_line::split;

fuzz_target!(|line: &str| {
    let Ok(words) = split(line) else { return };
    assert!(!words[0].is_empty(), "there is a command");
    let quoted: Vec<String> =
        words.iter().map(|word| format!("'{}'", word.replace('\'', "'\\''"))).collect();
    assert_eq!(split(&quoted.join(" ")).as_ref(), Ok(&words), "quoted words come back");
});
