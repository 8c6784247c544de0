//! What can be wrong in the configuration of a gateway, and how it is told.

use crate::{
    gateway_config::Origin,
    json::{JsonPath, Position, Step, locate, shown},
};
use serde_json::Value;
use std::fmt;

/// A gateway configuration that cannot be used. It names the gateway, the element, the key, the
/// value and what is wrong, and the manifest and capability when the configuration came from one.
#[derive(Debug, Clone, PartialEq)]
pub struct ConfigError(Box<Inner>);

#[derive(Debug, Clone, PartialEq)]
struct Inner {
    gateway: String,
    origin: Option<Origin>,
    /// From the gateway's `config` array inwards, outermost step last: steps are added on the way
    /// out.
    reversed: Vec<Step>,
    problem: Problem,
}

/// The kind of mistake.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Problem {
    /// A key that must be there is not.
    #[error("is missing")]
    Missing,
    /// The value has another JSON type than the one needed.
    #[error("must be {expected}, but is {found}")]
    WrongType {
        /// The type needed, with its article: "a string".
        expected: &'static str,
        /// The value, as JSON.
        found: String,
    },
    /// The value has the right type but cannot be used.
    #[error("{value} {why}")]
    Invalid {
        /// The value, as JSON.
        value: String,
        /// Why, as the end of a sentence: "is not an octal number".
        why: String,
    },
    /// The value contradicts what an earlier element has asked for.
    #[error("{value} contradicts {with}")]
    Conflict {
        /// The value, as JSON.
        value: String,
        /// What it contradicts, as the end of a sentence.
        with: String,
    },
    /// The configuration array has no element.
    #[error("must have at least one element, but is empty")]
    Empty,
    /// No gateway of this name exists in this build.
    #[error("no such gateway, or one that was left out of this build{suggestion}")]
    UnknownGateway {
        /// `; did you mean "…"?`, or nothing.
        suggestion: String,
    },
}

impl ConfigError {
    /// An error in the value at hand; the way to that value is told by [`ConfigError::at`].
    #[must_use]
    pub fn new(problem: Problem) -> Self {
        Self(Box::new(Inner {
            gateway: String::new(),
            origin: None,
            reversed: Vec::new(),
            problem,
        }))
    }

    /// `key` is missing.
    #[must_use]
    pub fn missing(key: &str) -> Self {
        Self::new(Problem::Missing).at(key)
    }

    /// `found`, the value of `key`, is not `expected` ("a string").
    #[must_use]
    pub fn wrong_type(key: &str, expected: &'static str, found: &Value) -> Self {
        Self::new(Problem::WrongType {
            expected,
            found: shown(found),
        })
        .at(key)
    }

    /// `value`, the value of `key`, cannot be used; `why` ends the sentence: "is not an octal
    /// number".
    #[must_use]
    pub fn invalid(key: &str, value: &Value, why: impl Into<String>) -> Self {
        Self::new(Problem::Invalid {
            value: shown(value),
            why: why.into(),
        })
        .at(key)
    }

    /// `value`, the value of `key`, contradicts an earlier element; `with` ends the sentence.
    #[must_use]
    pub fn conflict(key: &str, value: &Value, with: impl Into<String>) -> Self {
        Self::new(Problem::Conflict {
            value: shown(value),
            with: with.into(),
        })
        .at(key)
    }

    /// Says that the value at hand lies at `step` of the value around it. Call it from the inside
    /// outwards: `parse_ports(…).map_err(|e| e.at("ports"))`, then `.at(2)` and `.at("allow")`.
    #[must_use]
    pub fn at(mut self, step: impl Into<Step>) -> Self {
        self.0.reversed.push(step.into());
        self
    }

    /// Says which gateway the configuration was for.
    #[must_use]
    pub(crate) fn of_gateway(mut self, id: &str) -> Self {
        id.clone_into(&mut self.0.gateway);
        self
    }

    /// Says where the configuration was read.
    #[must_use]
    pub(crate) fn read_in(mut self, origin: &Origin) -> Self {
        self.0.origin = Some(origin.clone());
        self
    }

    /// What is wrong.
    #[must_use]
    pub fn problem(&self) -> &Problem {
        &self.0.problem
    }

    /// ID of the gateway.
    #[must_use]
    pub fn gateway(&self) -> &str {
        &self.0.gateway
    }

    /// Where the configuration was read.
    #[must_use]
    pub fn origin(&self) -> Option<&Origin> {
        self.0.origin.as_ref()
    }

    /// The way from the gateway's configuration to the wrong value, such as `config[1].mode`; for a
    /// gateway that does not exist it is `id`.
    #[must_use]
    pub fn path(&self) -> JsonPath {
        let start = if matches!(self.0.problem, Problem::UnknownGateway { .. }) {
            "id"
        } else {
            "config"
        };
        let mut steps = vec![Step::from(start)];
        steps.extend(self.0.reversed.iter().rev().cloned());
        JsonPath(steps)
    }

    /// Where the mistake is in `source`, the text of the manifest that [`ConfigError::origin`]
    /// names.
    #[must_use]
    pub fn position(&self, source: &[u8]) -> Option<Position> {
        let mut path = self.origin()?.path.clone();
        path.0.extend(self.path().0);
        Some(locate(source, &path))
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "gateway {:?}, {}", self.0.gateway, self.path())?;
        if let Some(origin) = self.origin() {
            write!(f, " ({origin})")?;
        }
        write!(f, ": {}", self.0.problem)
    }
}

impl std::error::Error for ConfigError {}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_message_names_gateway_element_key_value_and_mistake() {
        let error = ConfigError::invalid("ports", &json!("x"), "is not a port")
            .at(2)
            .at("allow")
            .at(1)
            .of_gateway("network");
        assert_eq!(
            error.to_string(),
            "gateway \"network\", config[1].allow[2].ports: \"x\" is not a port"
        );
    }
}
