//! Env gateway: environment variables of everything executed in a container.

use crate::{
    element::{Element, optional_str, required_str},
    error::ConfigError,
    settings::Settings,
};
use std::collections::BTreeMap;

/// Merged configuration of the env gateway.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct EnvSettings {
    /// Variables by name.
    pub vars: BTreeMap<String, String>,
}

/// What an element does with a value that the variable already has.
#[derive(Clone, Copy)]
enum Mode {
    Set,
    Append,
    Prepend,
}

impl Mode {
    fn of(element: &Element) -> Result<Self, ConfigError> {
        let Some(text) = optional_str(element, "mode")? else {
            return Ok(Self::Set);
        };
        match text.to_ascii_lowercase().as_str() {
            "set" => Ok(Self::Set),
            "append" => Ok(Self::Append),
            "prepend" => Ok(Self::Prepend),
            _ => Err(ConfigError::invalid(
                "mode",
                &text.into(),
                "is none of \"set\", \"append\" and \"prepend\"",
            )),
        }
    }
}

impl Settings for EnvSettings {
    const ID: &'static str = "env";
    const KEYS: &'static [&'static str] = &["name", "value", "mode", "separator"];

    fn merge(&mut self, element: &Element) -> Result<(), ConfigError> {
        let name = required_str(element, "name")?;
        if name.contains('=') {
            return Err(ConfigError::invalid("name", &name.into(), "contains \"=\""));
        }
        let value = required_str(element, "value")?;
        let mode = Mode::of(element)?;
        let separator = optional_str(element, "separator")?.unwrap_or_default();

        let Some(old) = self.vars.get_mut(name) else {
            self.vars.insert(name.to_owned(), value.to_owned());
            return Ok(());
        };
        match mode {
            Mode::Set if old == value => {}
            Mode::Set => {
                let with = format!("the value {old:?} that {name} already has");
                return Err(ConfigError::conflict("value", &value.into(), with));
            }
            Mode::Append => {
                old.push_str(separator);
                old.push_str(value);
            }
            Mode::Prepend => *old = format!("{value}{separator}{old}"),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gateway::tests::merged;
    use proptest::prelude::*;
    use serde_json::{Value, json};

    fn value_of_a(config: Value) -> String {
        merged::<EnvSettings>(config).unwrap().vars["A"].clone()
    }

    fn error_of(config: Value) -> String {
        merged::<EnvSettings>(config).unwrap_err().to_string()
    }

    #[test]
    fn append_and_prepend_use_the_separator_in_the_order_of_the_elements() {
        let config = json!([
            {"name": "A", "value": "1"},
            {"name": "A", "value": "2", "mode": "append", "separator": ":"},
            {"name": "A", "value": "0", "mode": "PREPEND", "separator": "-"},
            {"name": "A", "value": "3", "mode": "Append"}
        ]);
        assert_eq!(value_of_a(config), "0-1:23");
    }

    #[test]
    fn append_and_prepend_to_an_unset_variable_equal_set() {
        for mode in ["append", "prepend"] {
            assert_eq!(
                value_of_a(json!([{"name": "A", "value": "x", "mode": mode, "separator": ":"}])),
                "x"
            );
        }
    }

    #[test]
    fn set_again_to_the_same_value_is_a_no_op_and_to_another_an_error() {
        assert_eq!(
            value_of_a(
                json!([{"name": "A", "value": "x"}, {"name": "A", "value": "x", "mode": "SET"}])
            ),
            "x"
        );
        let error = error_of(json!([{"name": "A", "value": "x"}, {"name": "A", "value": "y"}]));
        assert_eq!(
            error,
            "gateway \"env\", config[1].value: \"y\" contradicts the value \"x\" that A already has"
        );
    }

    #[test]
    fn refuses_what_cannot_be_a_variable() {
        for (config, key) in [
            (json!([{"value": "x"}]), "name: is missing"),
            (json!([{"name": "A"}]), "value: is missing"),
            (
                json!([{"name": "", "value": "x"}]),
                "name: \"\" must not be empty",
            ),
            (
                json!([{"name": "A", "value": ""}]),
                "value: \"\" must not be empty",
            ),
            (
                json!([{"name": "A=B", "value": "x"}]),
                "name: \"A=B\" contains \"=\"",
            ),
            (json!([{"name": "A\0", "value": "x"}]), "NUL"),
            (json!([{"name": "A", "value": "x\0"}]), "NUL"),
            (
                json!([{"name": 1, "value": "x"}]),
                "name: must be a string, but is 1",
            ),
            (
                json!([{"name": "A", "value": 1}]),
                "value: must be a string, but is 1",
            ),
            (
                json!([{"name": "A", "value": "x", "mode": "add"}]),
                "mode: \"add\" is none of",
            ),
            (
                json!([{"name": "A", "value": "x", "mode": true}]),
                "mode: must be a string",
            ),
            (
                json!([{"name": "A", "value": "x", "separator": 1}]),
                "separator: must be a string",
            ),
        ] {
            let error = error_of(config);
            assert!(error.contains(key), "{error}");
        }
    }

    proptest! {
        #[test]
        fn appending_joins_the_values_in_order(values in prop::collection::vec("[a-z:]{1,4}", 1..9), separator in "[:; ]?") {
            let elements: Vec<Value> = values.iter()
                .map(|v| json!({"name": "A", "value": v, "mode": "append", "separator": separator}))
                .collect();
            prop_assert_eq!(value_of_a(elements.into()), values.join(&separator));
        }

        #[test]
        fn prepending_joins_the_values_in_reverse(values in prop::collection::vec("[a-z:]{1,4}", 1..9), separator in "[:; ]?") {
            let elements: Vec<Value> = values.iter()
                .map(|v| json!({"name": "A", "value": v, "mode": "prepend", "separator": separator}))
                .collect();
            let reversed: Vec<&str> = values.iter().rev().map(String::as_str).collect();
            prop_assert_eq!(value_of_a(elements.into()), reversed.join(&separator));
        }

        #[test]
        fn every_accepted_variable_fits_into_an_environment(name: String, value: String) {
            if let Ok(settings) = merged::<EnvSettings>(json!([{"name": name, "value": value}])) {
                for (name, value) in &settings.vars {
                    prop_assert!(!name.is_empty() && !name.contains(['=', '\0']) && !value.contains('\0'));
                }
            }
        }
    }
}
