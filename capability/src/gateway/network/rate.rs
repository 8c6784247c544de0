//! How fast a container may send and receive.

use serde_json::Value;

use crate::{
    element::{Element, optional_bool, optional_str},
    error::ConfigError,
};

/// The key that makes rates ones that others take the place of.
const DEFAULT: &str = "default";
/// Units as tc(8) has them: powers of 1000. The longest first, as each ends with the last.
const UNITS: [(&str, u64); 4] = [
    ("kbit", 1_000),
    ("mbit", 1_000_000),
    ("gbit", 1_000_000_000),
    ("bit", 1),
];
/// Bits in a second. With less a packet of the usual size takes more than a second.
const LOWEST: u64 = 8_000;
const HIGHEST: u64 = 10_000_000_000;

/// A rate as manifests state it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Rate {
    /// So many bytes in a second.
    Bytes(u32),
    /// No limit.
    Unlimited,
}

impl Rate {
    /// Reads a number with a unit, or `unlimited`.
    ///
    /// # Errors
    /// What is wrong with it, as the end of a sentence.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        const FORM: &str = "is neither \"unlimited\" nor a number with one of the units bit, kbit, \
                            mbit and gbit (bits in a second), such as \"2mbit\"";
        const RANGE: &str = "is not between 8kbit and 10gbit";
        if text == "unlimited" {
            return Ok(Self::Unlimited);
        }
        let with_unit = |(unit, factor)| Some((text.strip_suffix(unit)?, factor));
        let (digits, factor) = UNITS.into_iter().find_map(with_unit).ok_or(FORM)?;
        // `parse` alone would take a sign.
        if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(FORM);
        }
        let number = digits.parse::<u64>().ok();
        let bits = number.and_then(|number| number.checked_mul(factor));
        let bits = bits.filter(|bits| (LOWEST..=HIGHEST).contains(bits));
        let bytes = u32::try_from(bits.ok_or(RANGE)? / 8).map_err(|_| RANGE)?;
        Ok(Self::Bytes(bytes))
    }
}

/// What the elements up to now say of one direction.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
struct Stated {
    rate: Option<Rate>,
    /// A rate that is more than a default takes its place, also a lower one.
    is_default: bool,
}

impl Stated {
    fn merge(&mut self, rate: Rate, is_default: bool) {
        match (self.rate, self.is_default, is_default) {
            (Some(_), false, true) => {}
            (Some(old), old_default, new_default) if old_default == new_default => {
                self.rate = Some(old.max(rate));
            }
            _ => {
                *self = Self {
                    rate: Some(rate),
                    is_default,
                }
            }
        }
    }

    fn bytes(self) -> Option<u32> {
        match self.rate {
            Some(Rate::Bytes(bytes)) => Some(bytes),
            Some(Rate::Unlimited) | None => None,
        }
    }
}

/// How fast a container may send and receive: the higher of several rates counts.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct Rates {
    egress: Stated,
    ingress: Stated,
}

impl Rates {
    pub(super) const KEYS: [&'static str; 2] = ["egress-rate", "ingress-rate"];

    /// Bytes in a second that the container may send; `None`: as many as it can.
    #[must_use]
    pub fn egress(&self) -> Option<u32> {
        self.egress.bytes()
    }

    /// Bytes in a second that the container may receive; `None`: as many as it can.
    #[must_use]
    pub fn ingress(&self) -> Option<u32> {
        self.ingress.bytes()
    }

    /// Merges what an element says, and tells whether it says something.
    pub(super) fn merge(&mut self, element: &Element) -> Result<bool, ConfigError> {
        let [egress, ingress] = Self::KEYS.map(|key| rate_of(element, key));
        let (egress, ingress) = (egress?, ingress?);
        let states = egress.or(ingress).is_some();
        let is_default = optional_bool(element, DEFAULT)?;
        if !states && is_default.is_some() {
            let value = element.get(DEFAULT).unwrap_or(&Value::Null);
            let why = "is of no use without egress-rate or ingress-rate";
            return Err(ConfigError::invalid(DEFAULT, value, why));
        }
        let is_default = is_default.unwrap_or(false);
        for (stated, rate) in [(&mut self.egress, egress), (&mut self.ingress, ingress)] {
            if let Some(rate) = rate {
                stated.merge(rate, is_default);
            }
        }
        Ok(states)
    }
}

fn rate_of(element: &Element, key: &str) -> Result<Option<Rate>, ConfigError> {
    let Some(text) = optional_str(element, key)? else {
        return Ok(None);
    };
    let rate = Rate::parse(text).map_err(|why| ConfigError::invalid(key, &text.into(), why))?;
    Ok(Some(rate))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn merged(elements: &[Value]) -> Rates {
        let mut rates = Rates::default();
        for element in elements {
            rates.merge(element.as_object().unwrap()).unwrap();
        }
        rates
    }

    #[test]
    fn units_are_powers_of_1000() {
        for (text, bytes) in [
            ("8000bit", 1_000),
            ("8kbit", 1_000),
            ("2mbit", 250_000),
            ("10gbit", 1_250_000_000),
        ] {
            assert_eq!(Rate::parse(text), Ok(Rate::Bytes(bytes)), "{text}");
        }
        assert_eq!(Rate::parse("unlimited"), Ok(Rate::Unlimited));
    }

    #[test]
    fn what_is_no_rate_is_refused() {
        for text in [
            "", "2", "mbit", "2 mbit", "2Mbit", "2mbps", "2m", "1.5mbit", "-2mbit", "+2mbit",
            "0x2mbit",
        ] {
            assert!(Rate::parse(text).unwrap_err().contains("unit"), "{text}");
        }
        for text in ["0bit", "7999bit", "11gbit", "99999999999999999999gbit"] {
            assert!(Rate::parse(text).unwrap_err().contains("between"), "{text}");
        }
    }

    #[test]
    fn the_higher_of_two_rates_counts_for_each_direction() {
        let rates = merged(&[
            json!({"egress-rate": "2mbit"}),
            json!({"egress-rate": "1mbit", "ingress-rate": "4mbit"}),
        ]);
        assert_eq!(
            (rates.egress(), rates.ingress()),
            (Some(250_000), Some(500_000))
        );
        let rates = merged(&[
            json!({"egress-rate": "unlimited"}),
            json!({"egress-rate": "1mbit"}),
        ]);
        assert_eq!(rates.egress(), None);
    }

    #[test]
    fn a_default_gives_way_in_any_order() {
        let default = json!({"egress-rate": "4mbit", "default": true});
        let lower = json!({"egress-rate": "2mbit"});
        for elements in [[default.clone(), lower.clone()], [lower, default.clone()]] {
            assert_eq!(merged(&elements).egress(), Some(250_000), "{elements:?}");
        }
        let other = json!({"egress-rate": "8mbit", "default": true});
        assert_eq!(merged(&[default, other]).egress(), Some(1_000_000));
    }
}
