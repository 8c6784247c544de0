//! Which display or sound zone of the vehicle an element is about.

use crate::{
    element::{Element, optional_str},
    error::ConfigError,
};

const LONGEST: usize = 32;

/// A display or sound zone, by the name that the agent's configuration gives it; the default is the
/// one that needs none.
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Place(Option<String>);

impl Place {
    /// The place of this name, if that can be one: letters, digits, `-` and `_`, a letter first, at
    /// most 32.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        let is_fine = name.starts_with(|first: char| first.is_ascii_alphabetic())
            && name.len() <= LONGEST
            && name
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
        is_fine.then(|| Self(Some(name.to_owned())))
    }

    /// Its name, unless it is the default.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.0.as_deref()
    }

    /// The place that an element names at `key`.
    #[allow(dead_code, reason = "in a build without the gateways that have places")]
    pub(crate) fn of(element: &Element, key: &str) -> Result<Self, ConfigError> {
        let Some(name) = optional_str(element, key)? else {
            return Ok(Self::default());
        };
        Self::named(name).ok_or_else(|| {
            let why = "is no name: letters, digits, \"-\" and \"_\", a letter first, at most 32";
            ConfigError::invalid(key, &name.into(), why)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn names_are_short_words_and_no_paths() {
        for name in ["rear", "Rear-2", "a", &"x".repeat(32)] {
            assert_eq!(Place::named(name).unwrap().name(), Some(name));
        }
        for name in [
            "",
            "2",
            "-a",
            "a/b",
            "..",
            "a.b",
            "ä",
            "a b",
            &"x".repeat(33),
        ] {
            assert_eq!(Place::named(name), None, "{name}");
        }
    }

    #[test]
    fn an_element_without_one_is_about_the_default() {
        let of = |element: serde_json::Value| Place::of(element.as_object().unwrap(), "zone");
        assert_eq!(of(json!({})).unwrap(), Place::default());
        assert_eq!(of(json!({"zone": "rear"})).unwrap().name(), Some("rear"));
        for wrong in [
            json!({"zone": ""}),
            json!({"zone": 1}),
            json!({"zone": "a/b"}),
        ] {
            let error = of(wrong).unwrap_err().to_string();
            assert!(error.contains("zone"), "{error}");
        }
    }
}
