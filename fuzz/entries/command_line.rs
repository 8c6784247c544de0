//! The command line of `Execute`.

use softwarecontainer_agent::command_line::split;

/// One execution.
pub fn run(input: &[u8]) {
    let Ok(line) = std::str::from_utf8(input) else {
        return;
    };
    let Ok(words) = split(line) else { return };
    assert!(!words[0].is_empty(), "there is a command");
    let quoted: Vec<String> = words
        .iter()
        .map(|word| format!("'{}'", word.replace('\'', "'\\''")))
        .collect();
    assert_eq!(
        split(&quoted.join(" ")).as_ref(),
        Ok(&words),
        "quoted words come back"
    );
}
