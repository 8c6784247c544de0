//! What the agent and the proxy say to each other over their private socket.
//!
//! Lines of text. From the agent: `bus NAME COUNT`, followed by COUNT lines of rules that replace
//! those of the bus, and with a listening socket attached if the proxy shall listen; `off NAME`;
//! `sync NUMBER`, with which all that has come before takes effect. From the proxy: `done NUMBER`,
//! when it has; `log TEXT`; `lost NAME`, when that bus could not be reached; `error TEXT` before it
//! ends.
//!
//! An agent that is killed may leave the beginning of a line, or lines without their `sync`, and
//! half of an answer that it has read. The next one begins with a line break and `anew NUMBER`. The
//! proxy forgets then what it has not done and the listening sockets, but not rules and
//! connections, and says `anew NUMBER`, too.

mod lines;

pub use lines::{LineError, Lines};

use std::fmt;

use crate::rule::{BusDirection, BusRule, Pattern};

/// The version of what is said. A proxy that says something else is no use to an agent.
pub const VERSION: u32 = 1;

/// One of the two buses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Bus {
    /// The session bus.
    Session,
    /// The system bus.
    System,
}

impl Bus {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Session, Self::System];

    /// 0 or 1.
    #[must_use]
    pub fn index(self) -> usize {
        match self {
            Self::Session => 0,
            Self::System => 1,
        }
    }

    fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|bus| bus.to_string() == name)
    }
}

impl fmt::Display for Bus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Session => "session",
            Self::System => "system",
        })
    }
}

/// A line from the agent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ControlLine {
    /// Serve this bus with the rules in that many lines that follow.
    Bus(Bus, usize),
    /// Serve it no longer.
    Off(Bus),
    /// Do what has come before, and say when that is done.
    Sync(u64),
    /// Forget what came without a [`Self::Sync`], and say so: another agent goes on.
    Anew(u64),
}

/// A line from the proxy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// Everything up to that [`ControlLine::Sync`] is in force.
    Done(u64),
    /// Nothing is left of what came before that [`ControlLine::Anew`].
    Anew(u64),
    /// Something for the agent's log.
    Log(String),
    /// A bus could not be reached.
    Lost(Bus),
    /// The proxy ends.
    Error(String),
}

impl fmt::Display for ControlLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bus(bus, rules) => writeln!(f, "bus {bus} {rules}"),
            Self::Off(bus) => writeln!(f, "off {bus}"),
            Self::Sync(number) => writeln!(f, "sync {number}"),
            Self::Anew(number) => writeln!(f, "anew {number}"),
        }
    }
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Done(number) => writeln!(f, "done {number}"),
            Self::Anew(number) => writeln!(f, "anew {number}"),
            Self::Log(text) => writeln!(f, "log {}", escape(text)),
            Self::Lost(bus) => writeln!(f, "lost {bus}"),
            Self::Error(text) => writeln!(f, "error {}", escape(text)),
        }
    }
}

impl ControlLine {
    /// Reads a line without its end.
    #[must_use]
    pub fn parse(line: &str) -> Option<Self> {
        let mut words = line.split(' ');
        let command = match (words.next()?, words.next()?) {
            ("bus", name) => Self::Bus(Bus::from_name(name)?, words.next()?.parse().ok()?),
            ("off", name) => Self::Off(Bus::from_name(name)?),
            ("sync", number) => Self::Sync(number.parse().ok()?),
            ("anew", number) => Self::Anew(number.parse().ok()?),
            _ => return None,
        };
        words.next().is_none().then_some(command)
    }
}

impl Event {
    /// Reads a line without its end.
    #[must_use]
    pub fn parse(line: &str) -> Option<Self> {
        let (word, rest) = line.split_once(' ')?;
        match word {
            "done" => Some(Self::Done(rest.parse().ok()?)),
            "anew" => Some(Self::Anew(rest.parse().ok()?)),
            "log" => Some(Self::Log(unescape(rest)?)),
            "lost" => Some(Self::Lost(Bus::from_name(rest)?)),
            "error" => Some(Self::Error(unescape(rest)?)),
            _ => None,
        }
    }
}

/// A rule as a line.
#[must_use]
pub fn rule_line(rule: &BusRule) -> String {
    let direction = match rule.direction {
        None => "*",
        Some(BusDirection::Outgoing) => "outgoing",
        Some(BusDirection::Incoming) => "incoming",
    };
    let [interface, path, member] =
        [&rule.interface, &rule.path, &rule.member].map(|pattern| escape(pattern.as_str()));
    format!("{direction}\t{interface}\t{path}\t{member}\n")
}

/// Reads a rule from a line without its end.
#[must_use]
pub fn parse_rule(line: &str) -> Option<BusRule> {
    let mut fields = line.split('\t');
    let direction = match fields.next()? {
        "*" => None,
        "outgoing" => Some(BusDirection::Outgoing),
        "incoming" => Some(BusDirection::Incoming),
        _ => return None,
    };
    let mut pattern = || Some(Pattern::new(&unescape(fields.next()?)?));
    let rule = BusRule {
        direction,
        interface: pattern()?,
        path: pattern()?,
        member: pattern()?,
    };
    fields.next().is_none().then_some(rule)
}

/// Writes characters that would end a field or a line as `\xx`, as well as everything else below a
/// space.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if c == '\\' || c.is_ascii_control() {
            out.push_str(&format!("\\{:02x}", u32::from(c)));
        } else {
            out.push(c);
        }
    }
    out
}

fn unescape(text: &str) -> Option<String> {
    let mut parts = text.split('\\');
    let mut out = parts.next()?.to_owned();
    for part in parts {
        let code = u8::from_str_radix(part.get(..2)?, 16).ok()?;
        out.push(char::from(code));
        out.push_str(part.get(2..)?);
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn commands_and_events_survive_the_wire() {
        for command in [
            ControlLine::Bus(Bus::Session, 3),
            ControlLine::Off(Bus::System),
            ControlLine::Sync(7),
            ControlLine::Anew(u64::MAX),
        ] {
            let line = command.to_string();
            assert_eq!(ControlLine::parse(line.trim_end()), Some(command));
        }
        for event in [
            Event::Done(1),
            Event::Anew(2),
            Event::Log("a\nb \\ c".into()),
            Event::Lost(Bus::Session),
            Event::Error("x".into()),
        ] {
            let line = event.to_string();
            assert_eq!(line.matches('\n').count(), 1);
            assert_eq!(Event::parse(line.trim_end_matches('\n')), Some(event));
        }
        for line in [
            "",
            "bus",
            "bus x 1",
            "bus session",
            "bus session -1",
            "sync x",
            "off session 1",
        ] {
            assert_eq!(ControlLine::parse(line), None, "{line}");
        }
    }

    proptest! {
        #[test]
        fn rules_survive_the_wire(
            direction in 0..3_u8,
            interface in any::<String>(),
            path in any::<String>(),
            member in any::<String>(),
        ) {
            let rule = BusRule {
                direction: [None, Some(BusDirection::Incoming), Some(BusDirection::Outgoing)][usize::from(direction)],
                interface: Pattern::new(&interface),
                path: Pattern::new(&path),
                member: Pattern::new(&member),
            };
            let line = rule_line(&rule);
            prop_assert_eq!(line.matches('\n').count(), 1);
            prop_assert_eq!(parse_rule(&line[..line.len() - 1]), Some(rule));
        }
    }
}
