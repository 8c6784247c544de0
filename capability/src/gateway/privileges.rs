//! Privileges gateway: system calls, kernel capabilities and limits that apps do not have by
//! default. The classic agent has none, because it takes nothing away.

use crate::{
    element::Element,
    error::{ConfigError, Problem},
    json::shown,
    privilege::{Capability, Privileges, Resource, SystemCall, UNLIMITED},
    settings::Settings,
    size,
};
use serde_json::Value;
use std::collections::BTreeMap;

const SYSTEM_CALLS: &str = "allow-syscalls";
const CAPABILITIES: &str = "capabilities";
const LIMITS: &str = "limits";

impl Settings for Privileges {
    const ID: &'static str = "privileges";
    const KEYS: &'static [&'static str] = &[
        SYSTEM_CALLS,
        CAPABILITIES,
        LIMITS,
        "memlock",
        "msgqueue",
        "nice",
        "nofile",
        "rtprio",
    ];

    fn merge(&mut self, element: &Element) -> Result<(), ConfigError> {
        if ![SYSTEM_CALLS, CAPABILITIES, LIMITS]
            .iter()
            .any(|&key| element.contains_key(key))
        {
            return Err(ConfigError::new(Problem::Invalid {
                value: shown(&Value::Object(element.clone())),
                why: format!("has none of {SYSTEM_CALLS:?}, {CAPABILITIES:?} and {LIMITS:?}"),
            }));
        }
        if let Some(value) = element.get(SYSTEM_CALLS) {
            let found = names(SYSTEM_CALLS, value, SystemCall::from_name, |_| {
                listed(
                    "can be allowed by no manifest; these can:",
                    SystemCall::ALL.iter().map(|one| one.name()),
                )
            })?;
            self.system_calls.extend(found);
        }
        if let Some(value) = element.get(CAPABILITIES) {
            let found = names(CAPABILITIES, value, Capability::from_name, |name| {
                instead(name).map_or_else(
                    || {
                        listed(
                            "can be given by no manifest; these can:",
                            Capability::ALL.iter().map(|one| one.name()),
                        )
                    },
                    str::to_owned,
                )
            })?;
            self.capabilities.extend(found);
        }
        match element.get(LIMITS) {
            None => Ok(()),
            Some(Value::Object(limits)) => {
                raise(&mut self.limits, limits).map_err(|e| e.at(LIMITS))
            }
            Some(other) => Err(ConfigError::wrong_type(LIMITS, "an object", other)),
        }
    }
}

/// Raises the limits to those of an element.
fn raise(own: &mut BTreeMap<Resource, u64>, limits: &Element) -> Result<(), ConfigError> {
    for (key, value) in limits {
        let Some(resource) = Resource::from_name(key) else {
            let why = listed(
                "is no limit; these are:",
                Resource::ALL.iter().map(|one| one.name()),
            );
            return Err(ConfigError::new(Problem::Invalid {
                value: shown(&Value::from(key.as_str())),
                why,
            }));
        };
        let limit = amount(resource, value).map_err(|why| ConfigError::invalid(key, value, why))?;
        let merged = own.entry(resource).or_default();
        *merged = limit.max(*merged);
    }
    Ok(())
}

/// The array of names at `key`.
fn names<T>(
    key: &str,
    value: &Value,
    find: fn(&str) -> Option<T>,
    why_not: impl Fn(&str) -> String,
) -> Result<Vec<T>, ConfigError> {
    let Value::Array(values) = value else {
        return Err(ConfigError::wrong_type(key, "an array", value));
    };
    let mut found = Vec::new();
    for (index, value) in values.iter().enumerate() {
        let problem = match value {
            Value::String(name) => match find(name) {
                Some(one) => {
                    found.push(one);
                    continue;
                }
                None => Problem::Invalid {
                    value: shown(value),
                    why: why_not(name),
                },
            },
            other => Problem::WrongType {
                expected: "a string",
                found: shown(other),
            },
        };
        return Err(ConfigError::new(problem).at(index).at(key));
    }
    Ok(found)
}

fn listed<'a>(text: &str, names: impl Iterator<Item = &'a str>) -> String {
    format!("{text} {}", names.collect::<Vec<_>>().join(", "))
}

/// Capabilities that mean nothing in a user namespace, and what does what they are wanted for.
fn instead(name: &str) -> Option<&'static str> {
    match name {
        "ipc_lock" => {
            Some("means nothing in a user namespace; the limit \"memlock\" lets an app lock memory")
        }
        "sys_nice" => Some(
            "means nothing in a user namespace; the limits \"rtprio\" and \"nice\" let an app raise its priority",
        ),
        "sys_resource" => {
            Some("means nothing in a user namespace; name the limits that the app needs")
        }
        _ => None,
    }
}

fn amount(resource: Resource, value: &Value) -> Result<u64, &'static str> {
    match resource {
        Resource::Memlock | Resource::Msgqueue => {
            bytes(value).ok_or("is not a number of bytes, such as 65536, \"64M\" or \"unlimited\"")
        }
        Resource::Nofile => value
            .as_u64()
            .filter(|files| (1..=1 << 30).contains(files))
            .ok_or("is not a whole number from 1 to 1073741824"),
        Resource::Rtprio => value
            .as_u64()
            .filter(|priority| (1..=99).contains(priority))
            .ok_or("is not a whole number from 1 to 99"),
        Resource::Nice => value
            .as_i64()
            .filter(|nice| (-20..=19).contains(nice))
            .and_then(|nice| u64::try_from(20 - nice).ok())
            .ok_or("is not a whole number from -20 to 19"),
    }
}

fn bytes(value: &Value) -> Option<u64> {
    let text = match value {
        Value::String(text) if text == "unlimited" => return Some(UNLIMITED),
        Value::String(text) => text,
        other => return other.as_u64(),
    };
    size::parse(text).ok()
}

#[cfg(test)]
mod tests;
