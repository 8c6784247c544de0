//! Devicenode gateway: device nodes of the host in a container.

mod selector;

use crate::{
    element::{Element, optional_bool, optional_str, required_absolute_path, required_host_path},
    error::ConfigError,
    settings::Settings,
};
use serde_json::Value;
use std::{collections::BTreeMap, path::PathBuf};

pub use selector::DeviceSelector;

/// Merged configuration of the devicenode gateway.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct DeviceNodeSettings {
    /// Nodes by absolute path, which is the same on the host and in the container.
    pub nodes: BTreeMap<PathBuf, Wanted>,
    /// Nodes by what they are, whatever they are called on this board.
    pub selected: BTreeMap<DeviceSelector, Wanted>,
}

/// What is asked for a node, or for all that a selector finds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Wanted {
    /// Permission bits. `None`: no element has asked for a mode, and the host's applies.
    pub mode: Option<u32>,
    /// That there is none is no error.
    pub optional: bool,
}

impl Wanted {
    /// What is asked when both are.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            mode: match (self.mode, other.mode) {
                (Some(old), Some(new)) => Some(widest(old, new)),
                (old, new) => old.or(new),
            },
            optional: self.optional && other.optional,
        }
    }
}

impl Settings for DeviceNodeSettings {
    const ID: &'static str = "devicenode";
    const KEYS: &'static [&'static str] = &[
        "name", "mode", "optional", "class", "driver", "seat", "parent", "by-path",
    ];

    fn doubts(element: &Element) -> Vec<(&'static str, String)> {
        selector::doubt(element)
            .map(|doubt| (selector::CLASS, doubt))
            .into_iter()
            .collect()
    }

    fn merge(&mut self, element: &Element) -> Result<(), ConfigError> {
        let selector = DeviceSelector::of(element)?;
        let name = match selector {
            Some(_) => None,
            None => {
                required_host_path(element, "name")?;
                Some(required_absolute_path(element, "name")?)
            }
        };
        let wanted = Wanted {
            mode: mode_of(element)?,
            optional: optional_bool(element, "optional")?.unwrap_or(false),
        };
        let and = |merged: &mut Wanted| *merged = merged.and(wanted);
        if let Some(selector) = selector {
            self.selected
                .entry(selector)
                .and_modify(and)
                .or_insert(wanted);
        } else if let Some(name) = name {
            self.nodes.entry(name).and_modify(and).or_insert(wanted);
        }
        Ok(())
    }
}

/// The mode of an element. The digits are octal in both spellings: integrators write the number 660
/// and mean `0660`.
fn mode_of(element: &Element) -> Result<Option<u32>, ConfigError> {
    let digits = match element.get("mode") {
        None => return Ok(None),
        Some(Value::Number(number)) => number.to_string(),
        Some(Value::String(_)) => optional_str(element, "mode")?
            .unwrap_or_default()
            .to_owned(),
        Some(other) => {
            return Err(ConfigError::wrong_type(
                "mode",
                "a string or a number",
                other,
            ));
        }
    };
    let valid = digits.len() == 3 && digits.bytes().all(|digit| matches!(digit, b'0'..=b'7'));
    match u32::from_str_radix(&digits, 8) {
        Ok(mode) if valid => Ok(Some(mode)),
        _ => {
            let value = element.get("mode").unwrap_or(&Value::Null);
            Err(ConfigError::invalid(
                "mode",
                value,
                "is not three octal digits",
            ))
        }
    }
}

/// For each of owner, group and others the larger digit of two modes. (Not their union: 4 and 2
/// make 4.)
fn widest(a: u32, b: u32) -> u32 {
    [6, 3, 0]
        .iter()
        .map(|shift| ((a >> shift & 7).max(b >> shift & 7)) << shift)
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gateway::tests::merged;
    use proptest::prelude::*;
    use serde_json::json;

    fn mode(config: Value) -> Option<u32> {
        merged::<DeviceNodeSettings>(config).unwrap().nodes[&PathBuf::from("/dev/x")].mode
    }

    #[test]
    fn digits_are_octal_as_a_string_and_as_a_number() {
        assert_eq!(
            mode(json!([{"name": "/dev/x", "mode": "660"}])),
            Some(0o660)
        );
        assert_eq!(mode(json!([{"name": "/dev/x", "mode": 644}])), Some(0o644));
        assert_eq!(
            mode(json!([{"name": "/dev/x", "mode": "006"}])),
            Some(0o006)
        );
        assert_eq!(mode(json!([{"name": "/dev//x"}])), None);
    }

    #[test]
    fn the_larger_digit_of_each_class_wins() {
        assert_eq!(
            mode(json!([{"name": "/dev/x", "mode": "640"}, {"name": "/dev/x", "mode": 604}])),
            Some(0o644)
        );
        assert_eq!(
            mode(json!([{"name": "/dev/x", "mode": "400"}, {"name": "/dev/x", "mode": "200"}])),
            Some(0o400)
        );
        assert_eq!(
            mode(json!([{"name": "/dev/x"}, {"name": "/dev/x", "mode": 600}, {"name": "/dev/x"}])),
            Some(0o600)
        );
    }

    #[test]
    fn what_one_element_needs_is_needed() {
        let optional = |config: Value| {
            merged::<DeviceNodeSettings>(config).unwrap().nodes[&PathBuf::from("/dev/x")].optional
        };
        let (may, must) = (
            json!({"name": "/dev/x", "optional": true}),
            json!({"name": "/dev/x"}),
        );
        assert!(optional(json!([may, may])));
        assert!(!optional(json!([may, must])));
        assert!(!optional(json!([must, may])));
        let error = merged::<DeviceNodeSettings>(json!([{"name": "/dev/x", "optional": "yes"}]));
        let error = error.unwrap_err().to_string();
        assert!(error.contains("optional: must be true or false"), "{error}");
    }

    #[test]
    fn selectors_that_are_the_same_are_merged_and_others_are_not() {
        let settings: DeviceNodeSettings = merged(json!([
            {"class": "drm-render", "mode": "640"},
            {"class": "drm-render", "mode": "604"},
            {"class": "drm-render", "driver": "panfrost"},
        ]))
        .unwrap();
        let modes: Vec<_> = settings
            .selected
            .values()
            .map(|wanted| wanted.mode)
            .collect();
        assert_eq!(modes, [Some(0o644), None]);
        assert!(settings.nodes.is_empty());
    }

    #[test]
    fn refuses_what_is_no_mode_or_no_path() {
        for (element, wrong) in [
            (json!({"mode": "660"}), "name: is missing"),
            (
                json!({"name": "dev/x"}),
                "name: \"dev/x\" is not an absolute path",
            ),
            (json!({"name": 7}), "name: must be a string"),
            (
                json!({"name": "/dev/x", "mode": "668"}),
                "mode: \"668\" is not three octal digits",
            ),
            (
                json!({"name": "/dev/x", "mode": 680}),
                "mode: 680 is not three octal digits",
            ),
            (
                json!({"name": "/dev/x", "mode": 60}),
                "is not three octal digits",
            ),
            (
                json!({"name": "/dev/x", "mode": "0660"}),
                "is not three octal digits",
            ),
            (
                json!({"name": "/dev/x", "mode": "+66"}),
                "is not three octal digits",
            ),
            (
                json!({"name": "/dev/x", "mode": ""}),
                "is not three octal digits",
            ),
            (
                json!({"name": "/dev/x", "mode": -66}),
                "is not three octal digits",
            ),
            (
                json!({"name": "/dev/x", "mode": 6.6}),
                "is not three octal digits",
            ),
            (
                json!({"name": "/dev/x", "mode": null}),
                "mode: must be a string or a number",
            ),
        ] {
            let error = merged::<DeviceNodeSettings>(json!([element]))
                .unwrap_err()
                .to_string();
            assert!(error.contains(wrong), "{error}");
        }
    }

    proptest! {
        #[test]
        fn merging_is_commutative_idempotent_and_never_narrows(a in 0..=0o777_u32, b in 0..=0o777_u32) {
            let config = |modes: &[u32]| -> Value {
                modes.iter().map(|m| json!({"name": "/dev/x", "mode": format!("{m:03o}")})).collect()
            };
            let both = mode(config(&[a, b])).unwrap();
            prop_assert_eq!(both, mode(config(&[b, a])).unwrap());
            prop_assert_eq!(both, mode(config(&[a, b, a, b])).unwrap());
            for shift in [0, 3, 6] {
                prop_assert_eq!(both >> shift & 7, (a >> shift & 7).max(b >> shift & 7));
            }
        }

        #[test]
        fn a_number_means_the_same_as_a_string_of_its_digits(number in 0..1000_u32) {
            let of = |mode: Value| merged::<DeviceNodeSettings>(json!([{"name": "/dev/x", "mode": mode}])).ok();
            prop_assert_eq!(of(json!(number)), of(json!(number.to_string())));
        }
    }
}
