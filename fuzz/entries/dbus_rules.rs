//! The rule engine: patterns against their definition, and the lines that bring rules to the proxy.

use softwarecontainer_dbus_proxy::{
    control::{ControlLine, Event, parse_rule, rule_line},
    rule::{BusDirection, RuleSet, Subject},
};

/// The definition of a glob, by a table: which prefixes of the pattern match which prefixes of the
/// value.
fn matches(pattern: &str, value: &str) -> bool {
    let (pattern, value): (Vec<char>, Vec<char>) =
        (pattern.chars().collect(), value.chars().collect());
    if pattern.is_empty() {
        return false;
    }
    let mut row: Vec<bool> = (0..=value.len()).map(|length| length == 0).collect();
    for wanted in pattern {
        let before = row.clone();
        for length in 0..=value.len() {
            row[length] = if wanted == '*' {
                before[length] || (length > 0 && row[length - 1])
            } else {
                length > 0 && before[length - 1] && (wanted == '?' || wanted == value[length - 1])
            };
        }
    }
    row[value.len()]
}

/// One execution.
pub fn run(input: &[u8]) {
    // Flags; a subject: interface, path and member; then rules and lines, one each.
    let Some((flags, text)) = input.split_first() else {
        return;
    };
    let Ok(text) = std::str::from_utf8(text) else {
        return;
    };
    let mut lines = text.split('\n');
    let [interface, path, member] = [0; 3].map(|_| lines.next().unwrap_or_default());
    let lines: Vec<&str> = lines.collect();
    let (outgoing, named) = (flags & 1 == 1, flags & 2 == 2);
    for line in &lines {
        if let Some(command) = ControlLine::parse(line) {
            assert_eq!(
                ControlLine::parse(command.to_string().trim_end_matches('\n')),
                Some(command)
            );
        }
        if let Some(event) = Event::parse(line) {
            assert_eq!(
                Event::parse(event.to_string().trim_end_matches('\n')),
                Some(event)
            );
        }
    }
    let rules: RuleSet = lines.iter().filter_map(|line| parse_rule(line)).collect();
    let subject = Subject {
        direction: if outgoing {
            BusDirection::Outgoing
        } else {
            BusDirection::Incoming
        },
        interface: named.then_some(interface),
        path,
        member,
    };
    let expected = rules.iter().any(|rule| {
        let line = rule_line(rule);
        assert_eq!(parse_rule(line.trim_end_matches('\n')).as_ref(), Some(rule));
        let interface_matches = match subject.interface {
            Some(interface) => matches(rule.interface.as_str(), interface),
            None => {
                !rule.interface.as_str().is_empty()
                    && rule.interface.as_str().chars().all(|c| c == '*')
            }
        };
        rule.direction
            .is_none_or(|direction| direction == subject.direction)
            && interface_matches
            && matches(rule.path.as_str(), path)
            && matches(rule.member.as_str(), member)
    });
    assert_eq!(rules.allows(&subject), expected);
}
