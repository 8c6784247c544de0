//! The `protocols` of a rule.

use crate::{
    error::{ConfigError, Problem},
    json::shown,
};
use serde_json::Value;
use std::collections::BTreeSet;

/// A protocol that the manifest format knows.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Protocol {
    Icmp,
    Tcp,
    Udp,
}

/// Reads one protocol or an array of them.
pub(super) fn parse(value: &Value) -> Result<BTreeSet<Protocol>, ConfigError> {
    match value {
        Value::String(_) => one(value).map(|protocol| BTreeSet::from([protocol])),
        Value::Array(list) if list.is_empty() => Err(ConfigError::new(Problem::Empty)),
        Value::Array(list) => list
            .iter()
            .enumerate()
            .map(|(index, value)| one(value).map_err(|e| e.at(index)))
            .collect(),
        other => Err(ConfigError::new(Problem::WrongType {
            expected: "a string or an array of strings",
            found: shown(other),
        })),
    }
}

fn one(value: &Value) -> Result<Protocol, ConfigError> {
    match value.as_str() {
        Some("icmp") => Ok(Protocol::Icmp),
        Some("tcp") => Ok(Protocol::Tcp),
        Some("udp") => Ok(Protocol::Udp),
        Some(_) => Err(ConfigError::new(Problem::Invalid {
            value: shown(value),
            why: "is none of \"tcp\", \"udp\" and \"icmp\"".to_owned(),
        })),
        None => Err(ConfigError::new(Problem::WrongType {
            expected: "a string",
            found: shown(value),
        })),
    }
}
