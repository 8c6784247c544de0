//! All rules of one bus.

use super::{BusDirection, BusRule, Subject, reach};

/// The rules of one bus; a message passes if one of them matches.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RuleSet(Vec<BusRule>);

impl RuleSet {
    /// Whether some rule matches.
    #[must_use]
    pub fn allows(&self, subject: &Subject<'_>) -> bool {
        self.0.iter().any(|rule| rule.matches(subject))
    }

    /// Whether some rule names this outgoing interface and member in full, without a wildcard.
    #[must_use]
    pub fn names(&self, interface: &str, member: &str) -> bool {
        self.0.iter().any(|rule| {
            rule.direction != Some(BusDirection::Incoming)
                && rule.interface.is_exactly(interface)
                && rule.member.is_exactly(member)
        })
    }

    /// Whether some rule is about this well-known name on the bus.
    #[must_use]
    pub fn reaches(&self, name: &str) -> bool {
        self.0.iter().any(|rule| reach::reaches(rule, name))
    }

    /// Whether some rule lets messages go out that are about this well-known name.
    #[must_use]
    pub fn reaches_outgoing(&self, name: &str) -> bool {
        self.0.iter().any(|rule| {
            rule.direction != Some(BusDirection::Incoming) && reach::reaches(rule, name)
        })
    }

    /// The rules.
    pub fn iter(&self) -> std::slice::Iter<'_, BusRule> {
        self.0.iter()
    }
}

impl FromIterator<BusRule> for RuleSet {
    fn from_iter<I: IntoIterator<Item = BusRule>>(rules: I) -> Self {
        Self(rules.into_iter().collect())
    }
}
