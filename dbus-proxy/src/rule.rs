//! Rules: which messages a container may send and receive on one bus.

mod pattern;
mod reach;
mod set;

pub use pattern::Pattern;
pub use set::RuleSet;

/// Which way a message goes, seen from the container.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BusDirection {
    /// From the container to the bus.
    Outgoing,
    /// From the bus to the container.
    Incoming,
}

/// Messages that are allowed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BusRule {
    /// The direction; `None` is both.
    pub direction: Option<BusDirection>,
    /// Interface. A message without one matches only `*`.
    pub interface: Pattern,
    /// Object path.
    pub path: Pattern,
    /// Method or signal.
    pub member: Pattern,
}

/// What rules look at.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'a> {
    /// Which way the message goes.
    pub direction: BusDirection,
    /// Its interface, if it names one.
    pub interface: Option<&'a str>,
    /// Its object path.
    pub path: &'a str,
    /// Its method or signal.
    pub member: &'a str,
}

impl BusRule {
    fn matches(&self, subject: &Subject<'_>) -> bool {
        self.direction
            .is_none_or(|direction| direction == subject.direction)
            && match subject.interface {
                Some(interface) => self.interface.matches(interface),
                None => self.interface.is_any(),
            }
            && self.member.matches(subject.member)
            && self.path.matches(subject.path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(super) fn rule(
        direction: Option<BusDirection>,
        interface: &str,
        path: &str,
        member: &str,
    ) -> BusRule {
        BusRule {
            direction,
            interface: Pattern::new(interface),
            path: Pattern::new(path),
            member: Pattern::new(member),
        }
    }

    fn subject<'a>(
        direction: BusDirection,
        interface: Option<&'a str>,
        path: &'a str,
        member: &'a str,
    ) -> Subject<'a> {
        Subject {
            direction,
            interface,
            path,
            member,
        }
    }

    #[test]
    fn every_part_of_a_rule_must_match() {
        let rules: RuleSet = [rule(
            Some(BusDirection::Outgoing),
            "org.a.B",
            "/a/*",
            "Get*",
        )]
        .into_iter()
        .collect();
        use BusDirection::{Incoming, Outgoing};
        assert!(rules.allows(&subject(Outgoing, Some("org.a.B"), "/a/b", "GetX")));
        assert!(!rules.allows(&subject(Incoming, Some("org.a.B"), "/a/b", "GetX")));
        assert!(!rules.allows(&subject(Outgoing, Some("org.a.C"), "/a/b", "GetX")));
        assert!(!rules.allows(&subject(Outgoing, Some("org.a.B"), "/b", "GetX")));
        assert!(!rules.allows(&subject(Outgoing, Some("org.a.B"), "/a/b", "SetX")));
    }

    #[test]
    fn a_message_without_interface_matches_only_the_star() {
        let message = subject(BusDirection::Outgoing, None, "/", "M");
        for (interface, allowed) in [
            ("*", true),
            ("**", true),
            ("?*", false),
            ("org.*", false),
            ("", false),
        ] {
            let rules: RuleSet = [rule(None, interface, "*", "*")].into_iter().collect();
            assert_eq!(rules.allows(&message), allowed, "{interface}");
        }
    }

    #[test]
    fn no_rule_allows_nothing() {
        let message = subject(BusDirection::Incoming, Some("a.b"), "/", "M");
        assert!(!RuleSet::default().allows(&message));
    }
}
