//! The `ports` of a rule.

use crate::{
    error::{ConfigError, Problem},
    json::shown,
    traffic::Ports,
};
use serde_json::Value;

/// Reads a number, a range as a string, or an array of numbers.
pub(super) fn parse(value: &Value) -> Result<Vec<Ports>, ConfigError> {
    match value {
        Value::Number(_) => Ok(vec![number(value)?]),
        Value::String(text) => range(text).map(|ports| vec![ports]).map_err(|why| {
            ConfigError::new(Problem::Invalid {
                value: shown(value),
                why: why.to_owned(),
            })
        }),
        // No port would have to mean none, while no `ports` means all: refuse rather than surprise.
        Value::Array(list) if list.is_empty() => Err(ConfigError::new(Problem::Empty)),
        Value::Array(list) => list
            .iter()
            .enumerate()
            .map(|(index, one)| number(one).map_err(|e| e.at(index)))
            .collect(),
        other => Err(wrong_type(
            "a number, a range or an array of numbers",
            other,
        )),
    }
}

fn number(value: &Value) -> Result<Ports, ConfigError> {
    if !value.is_number() {
        return Err(wrong_type("a number", value));
    }
    let port = value.as_u64().and_then(|port| u16::try_from(port).ok());
    port.and_then(|port| Ports::new(port, port)).ok_or_else(|| {
        ConfigError::new(Problem::Invalid {
            value: shown(value),
            why: "is not a port from 0 to 65535".to_owned(),
        })
    })
}

/// `"X-Y"` or `"X:Y"`, and also the single `"X"`, which can mean but one thing.
fn range(text: &str) -> Result<Ports, &'static str> {
    let (first, last) = text.split_once(['-', ':']).unwrap_or((text, text));
    let (Some(first), Some(last)) = (port(first), port(last)) else {
        return Err("is not a range \"X-Y\" of ports from 0 to 65535");
    };
    Ports::new(first, last).ok_or("is a range that ends before it begins")
}

/// Digits only: `parse` alone would take a sign.
fn port(text: &str) -> Option<u16> {
    text.bytes()
        .all(|b| b.is_ascii_digit())
        .then(|| text.parse().ok())
        .flatten()
}

fn wrong_type(expected: &'static str, found: &Value) -> ConfigError {
    ConfigError::new(Problem::WrongType {
        expected,
        found: shown(found),
    })
}
