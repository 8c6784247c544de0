//! Cgroups gateway: limits and shares of a container, and the class of its network packets.

mod known;
mod quantity;

pub use crate::class_id::ClassId;
pub use quantity::Bytes;

use crate::{
    element::{Element, required_bool, required_str},
    error::ConfigError,
    settings::Settings,
    size::SizeError,
};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// The key that makes a value one that others take the place of.
const DEFAULT: &str = "default";
/// Name of the setting that classifies network packets.
pub const NET_CLS_CLASSID: &str = "net_cls.classid";

/// Merged configuration of the cgroups gateway.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct CgroupsSettings {
    /// Values by setting, in the names that the manifests use (those of cgroup v1, as a rule).
    pub values: BTreeMap<String, CgroupValue>,
    /// The settings whose values are but defaults, which any other value takes the place of.
    pub defaults: BTreeSet<String>,
}

/// The value of a setting.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum CgroupValue {
    /// An amount of memory: the larger of several wins.
    Memory(Bytes),
    /// A weight of `cpu.shares`, at least 2: the larger of several wins.
    Shares(u64),
    /// A class of network packets: the last one wins.
    Class(ClassId),
    /// Passed on as it is: the last one wins.
    Text(String),
}

impl CgroupsSettings {
    /// The class of the container's packets.
    #[must_use]
    pub fn class(&self) -> Option<ClassId> {
        match self.values.get(NET_CLS_CLASSID) {
            Some(CgroupValue::Class(class)) => Some(*class),
            _ => None,
        }
    }
}

impl Settings for CgroupsSettings {
    const ID: &'static str = "cgroups";
    const KEYS: &'static [&'static str] = &["setting", "value", DEFAULT];

    fn doubts(element: &Element) -> Vec<(&'static str, String)> {
        let setting = element.get("setting").and_then(Value::as_str);
        let doubt = setting.and_then(known::doubt);
        doubt.map(|doubt| ("setting", doubt)).into_iter().collect()
    }

    fn merge(&mut self, element: &Element) -> Result<(), ConfigError> {
        let setting = required_str(element, "setting")?;
        check_name(setting).map_err(|why| ConfigError::invalid("setting", &setting.into(), why))?;
        let text = required_str(element, "value")?;
        let value = parse(setting, text)
            .map_err(|why| ConfigError::invalid("value", &text.into(), why.to_string()))?;
        let is_default = match element.get(DEFAULT) {
            None => false,
            Some(_) => required_bool(element, DEFAULT)?,
        };
        match (self.defaults.contains(setting), is_default) {
            // It gives way to a value that is more than a default, also to a smaller one.
            (true, false) => {
                self.defaults.remove(setting);
                self.values.remove(setting);
            }
            (false, true) if self.values.contains_key(setting) => return Ok(()),
            (false, true) => {
                self.defaults.insert(setting.to_owned());
            }
            _ => {}
        }
        let merged = match (self.values.remove(setting), value) {
            (Some(CgroupValue::Memory(old)), CgroupValue::Memory(new)) => {
                CgroupValue::Memory(old.max(new))
            }
            (Some(CgroupValue::Shares(old)), CgroupValue::Shares(new)) => {
                CgroupValue::Shares(old.max(new))
            }
            (_, new) => new,
        };
        self.values.insert(setting.to_owned(), merged);
        Ok(())
    }
}

/// A setting is the name of a file in a cgroup directory, `controller.something`: it must not lead
/// anywhere else, nor name the files that move processes and delegate controllers.
fn check_name(setting: &str) -> Result<(), &'static str> {
    let valid = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.');
    match setting.split_once('.') {
        Some((controller, rest))
            if !controller.is_empty()
                && !rest.is_empty()
                && setting.bytes().all(valid)
                && !setting.contains("..") =>
        {
            if controller == "cgroup" {
                return Err("belongs to no controller, but to the cgroup itself");
            }
            Ok(())
        }
        _ => Err("is not a setting such as \"memory.limit_in_bytes\""),
    }
}

/// Why a value does not fit its setting, as the end of a sentence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
enum ValueError {
    #[error(transparent)]
    Size(#[from] SizeError),
    #[error("has more than one line")]
    Lines,
    #[error("{0}")]
    Other(&'static str),
}

fn parse(setting: &str, text: &str) -> Result<CgroupValue, ValueError> {
    match setting {
        "memory.limit_in_bytes" | "memory.memsw.limit_in_bytes" => {
            Ok(CgroupValue::Memory(Bytes::parse(text)?))
        }
        "cpu.shares" => quantity::shares(text)
            .map(CgroupValue::Shares)
            .map_err(ValueError::Other),
        NET_CLS_CLASSID => ClassId::parse(text)
            .map(CgroupValue::Class)
            .map_err(ValueError::Other),
        _ if text.contains(['\n', '\r']) => Err(ValueError::Lines),
        _ => match known::wrong_value(setting, text) {
            Some(why) => Err(ValueError::Other(why)),
            None => Ok(CgroupValue::Text(text.to_owned())),
        },
    }
}

#[cfg(test)]
mod tests;
