//! What liblxc logged of a failed start.

use std::{fs, path::Path};

/// How much of it an error message quotes, in bytes.
const EXCERPT: usize = 600;

/// The first cause that liblxc has logged, on one line: what follows is only who called whom.
/// Empty when there is none.
pub fn first_cause(log: &Path) -> String {
    let text = fs::read(log).unwrap_or_default();
    cause_in(&String::from_utf8_lossy(&text))
}

/// A line is `lxc SC-0 20260101120000.000 ERROR    utils - ../src/lxc/utils.c:function:12 - text`,
/// where the text of a failed system call is its error, ` - `, and what it was for.
fn cause_in(text: &str) -> String {
    let errors = text.lines().filter(|line| line.contains(" ERROR "));
    let mut messages = errors.map(|line| line.splitn(3, " - ").nth(2).unwrap_or(line));
    let first = messages.next().unwrap_or_default();
    // "Script exited with status 1" is no help without what it was.
    let names_something = |text: &str| text.contains(['/', '"', '.']) || text.contains(" - ");
    let cause = match messages.next() {
        Some(next) if !names_something(first) => format!("{first}: {next}"),
        _ => first.to_owned(),
    };
    cause.chars().take(EXCERPT).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_error_is_the_cause_and_its_place_in_liblxc_is_left_out() {
        let log = "lxc SC-0 20261127033000.123 WARN     cgfsng - ../src/lxc/cgfsng.c:f:1 - late\n\
            lxc SC-0 20261127033000.124 ERROR    conf - ../src/lxc/conf.c:mount_entry:2184 - \
            Permission denied - Failed to mount \"/x\" on \"/y\"\n\
            lxc SC-0 20261127033000.125 ERROR    start - ../src/lxc/start.c:spawn:1 - Failed\n";
        let wanted = "Permission denied - Failed to mount \"/x\" on \"/y\"";
        assert_eq!(cause_in(log), wanted);
    }

    #[test]
    fn a_cause_that_names_nothing_comes_with_the_next_error() {
        let log = "lxc SC-0 1 ERROR    utils - u.c:f:1 - Script exited with status 127\n\
            lxc SC-0 1 ERROR    start - s.c:f:1 - Failed to run lxc.hook.pre-start\n\
            lxc SC-0 1 ERROR    start - s.c:f:2 - Failed to initialize container\n";
        let wanted = "Script exited with status 127: Failed to run lxc.hook.pre-start";
        assert_eq!(cause_in(log), wanted);
    }

    #[test]
    fn without_an_error_there_is_no_cause() {
        assert_eq!(cause_in("lxc SC-0 1 WARN     start - s.c:f:1 - late\n"), "");
    }
}
