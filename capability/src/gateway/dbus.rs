//! D-Bus gateway: which messages a container may exchange with the host's buses.

use crate::{
    element::{Element, optional_str},
    error::{ConfigError, Problem},
    json::shown,
    settings::Settings,
};
use serde_json::Value;

const SESSION: &str = "dbus-gateway-config-session";
const SYSTEM: &str = "dbus-gateway-config-system";

/// Merged configuration of the D-Bus gateway.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct DbusSettings {
    /// Rules for the session bus. `None`: there is no such bus for the container; no rules: there
    /// is one, but nothing passes.
    pub session: Option<Vec<MessageRule>>,
    /// Rules for the system bus, likewise.
    pub system: Option<Vec<MessageRule>>,
}

/// Messages that may pass. Names are globs: `*` is any run of characters, `?` any one. An empty one
/// matches nothing.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct MessageRule {
    /// Which way.
    pub direction: MessageDirection,
    /// Interface; only `*` matches messages without one.
    pub interface: String,
    /// Object path.
    pub path: String,
    /// Name of the method or signal.
    pub member: String,
}

/// Which way messages go, seen from the container.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum MessageDirection {
    /// From the container.
    Outgoing,
    /// To the container.
    Incoming,
    /// Both ways.
    Both,
}

impl Settings for DbusSettings {
    const ID: &'static str = "dbus";
    const KEYS: &'static [&'static str] = &[
        SESSION,
        SYSTEM,
        "direction",
        "interface",
        "object-path",
        "method",
    ];

    fn merge(&mut self, element: &Element) -> Result<(), ConfigError> {
        let buses = [(SESSION, &mut self.session), (SYSTEM, &mut self.system)];
        let mut any = false;
        for (key, rules) in buses {
            if let Some(value) = element.get(key) {
                any = true;
                add_rules(rules.get_or_insert_default(), key, value)?;
            }
        }
        if any {
            return Ok(());
        }
        Err(ConfigError::new(Problem::Invalid {
            value: shown(&Value::Object(element.clone())),
            why: format!("has neither {SESSION:?} nor {SYSTEM:?}"),
        }))
    }
}

fn add_rules(rules: &mut Vec<MessageRule>, key: &str, value: &Value) -> Result<(), ConfigError> {
    let Value::Array(elements) = value else {
        return Err(ConfigError::wrong_type(key, "an array", value));
    };
    for (index, element) in elements.iter().enumerate() {
        let new = parse_rule(element).map_err(|e| e.at(index).at(key))?;
        for rule in new {
            if !rules.contains(&rule) {
                rules.push(rule);
            }
        }
    }
    Ok(())
}

/// One rule for each member that the element names; none when its direction is empty.
fn parse_rule(value: &Value) -> Result<Vec<MessageRule>, ConfigError> {
    let Value::Object(element) = value else {
        return Err(ConfigError::new(Problem::WrongType {
            expected: "an object",
            found: shown(value),
        }));
    };
    let text = |key| optional_str(element, key)?.ok_or_else(|| ConfigError::missing(key));
    let direction = match text("direction")? {
        "outgoing" => Some(MessageDirection::Outgoing),
        "incoming" => Some(MessageDirection::Incoming),
        "*" => Some(MessageDirection::Both),
        // As in the other keys, an empty string matches nothing.
        "" => None,
        other => {
            let why = "is not \"outgoing\", \"incoming\" or \"*\"";
            return Err(ConfigError::invalid("direction", &other.into(), why));
        }
    };
    let interface = text("interface")?;
    let path = text("object-path")?;
    let rule = |member: &str| {
        direction.map(|direction| MessageRule {
            direction,
            interface: interface.to_owned(),
            path: path.to_owned(),
            member: member.to_owned(),
        })
    };
    match element.get("method") {
        Some(Value::Array(members)) => {
            let member = |(index, member): (usize, &Value)| {
                let text = member.as_str().ok_or_else(|| {
                    let problem = Problem::WrongType {
                        expected: "a string",
                        found: shown(member),
                    };
                    ConfigError::new(problem).at(index).at("method")
                })?;
                Ok(rule(text))
            };
            let rules = members.iter().enumerate().map(member);
            let rules: Result<Vec<_>, ConfigError> = rules.collect();
            Ok(rules?.into_iter().flatten().collect())
        }
        Some(other) if !other.is_string() => {
            let expected = "a string or an array of strings";
            Err(ConfigError::wrong_type("method", expected, other))
        }
        _ => Ok(rule(text("method")?).into_iter().collect()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gateway::tests::merged;
    use serde_json::json;

    fn rule(direction: &str, interface: &str, path: &str, method: Value) -> Value {
        json!({"direction": direction, "interface": interface, "object-path": path, "method": method})
    }

    fn made(direction: MessageDirection, interface: &str, path: &str, member: &str) -> MessageRule {
        MessageRule {
            direction,
            interface: interface.into(),
            path: path.into(),
            member: member.into(),
        }
    }

    #[test]
    fn rules_of_all_elements_add_up() {
        let settings: DbusSettings = merged(json!([
            {SESSION: []},
            {SYSTEM: [rule("outgoing", "a.b", "/x", json!("M"))]},
            {SYSTEM: [rule("*", "", "*", json!(["N", "O"])), rule("outgoing", "a.b", "/x", json!("M"))]},
        ]))
        .unwrap();
        assert_eq!(settings.session, Some(vec![]));
        let expected = vec![
            made(MessageDirection::Outgoing, "a.b", "/x", "M"),
            made(MessageDirection::Both, "", "*", "N"),
            made(MessageDirection::Both, "", "*", "O"),
        ];
        assert_eq!(settings.system, Some(expected));
    }

    #[test]
    fn a_bus_that_is_not_named_is_not_there() {
        let settings: DbusSettings = merged(json!([{SESSION: []}])).unwrap();
        assert_eq!(settings.system, None);
    }

    #[test]
    fn both_buses_may_be_in_one_element() {
        let settings: DbusSettings =
            merged(json!([{SESSION: [rule("incoming", "*", "*", json!("*"))], SYSTEM: []}]))
                .unwrap();
        let expected = made(MessageDirection::Incoming, "*", "*", "*");
        assert_eq!(
            (settings.session, settings.system),
            (Some(vec![expected]), Some(vec![]))
        );
    }

    #[test]
    fn an_empty_direction_matches_nothing() {
        let settings: DbusSettings =
            merged(json!([{SESSION: [rule("", "*", "*", json!(["M", "N"]))]}])).unwrap();
        assert_eq!(settings.session, Some(vec![]));
    }

    #[test]
    fn an_empty_array_of_methods_allows_nothing() {
        let settings: DbusSettings =
            merged(json!([{SYSTEM: [rule("*", "*", "*", json!([]))]}])).unwrap();
        assert_eq!(settings.system, Some(vec![]));
    }

    #[test]
    fn mistakes_are_told_with_their_place() {
        let good = rule("*", "*", "*", json!("*"));
        let without = |key: &str| {
            let mut rule = good.clone();
            rule.as_object_mut().unwrap().remove(key);
            json!([{SYSTEM: [good, rule]}])
        };
        let with = |key: &str, value: Value| {
            let mut rule = good.clone();
            rule[key] = value;
            json!([{SYSTEM: [rule]}])
        };
        let cases = [
            (json!([{}]), "config[0]: {} has neither"),
            (json!([{"dbus-gateway-config-sesion": []}]), "has neither"),
            (
                json!([{SYSTEM: {}}]),
                "dbus-gateway-config-system: must be an array",
            ),
            (json!([{SYSTEM: [1]}]), "system[0]: must be an object"),
            (without("direction"), "system[1].direction: is missing"),
            (without("interface"), "system[1].interface: is missing"),
            (without("object-path"), "system[1].object-path: is missing"),
            (without("method"), "system[1].method: is missing"),
            (
                with("direction", json!("OUTGOING")),
                "system[0].direction: \"OUTGOING\" is not",
            ),
            (
                with("interface", json!(1)),
                "system[0].interface: must be a string",
            ),
            (
                with("method", json!(1)),
                "system[0].method: must be a string or an array",
            ),
            (
                with("method", json!(["a", 1])),
                "system[0].method[1]: must be a string",
            ),
        ];
        for (config, wrong) in cases {
            let error = merged::<DbusSettings>(config).unwrap_err().to_string();
            assert!(error.contains(wrong), "{error}");
        }
    }
}
