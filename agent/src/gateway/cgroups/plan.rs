//! What to write where, so that the settings of the manifests hold on this host.
//!
//! Manifests use the names of cgroup v1. On a hierarchy of v2 those that have a counterpart are
//! translated; other settings are passed on as they are.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use softwarecontainer_capability::gateway::cgroups::{
    Bytes, CgroupValue, CgroupsSettings, NET_CLS_CLASSID,
};

use super::{cpu_weight, error::PlanError};
use crate::host::cgroup::Version;

/// One file to write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Write {
    /// Whose hierarchy the file is in.
    pub controller: String,
    /// Its name.
    pub file: String,
    /// What to write.
    pub value: Value,
}

/// What to write.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Value {
    /// A text.
    Text(String),
    /// `memory.max` of v2, which needs care.
    MemoryMax(u64),
}

const LIMIT: &str = "memory.limit_in_bytes";
const SWAP_LIMIT: &str = "memory.memsw.limit_in_bytes";
const QUOTA: &str = "cpu.cfs_quota_us";
const PERIOD: &str = "cpu.cfs_period_us";

/// Lists the files to write; `version` tells the kind of hierarchy of a controller.
///
/// # Errors
/// [`PlanError`].
pub fn plan(
    settings: &CgroupsSettings,
    version: impl Fn(&str) -> Option<Version>,
) -> Result<Vec<Write>, PlanError> {
    let mut writes = Vec::new();
    check_swap(&settings.values)?;
    for (setting, value) in &settings.values {
        let controller = setting.split('.').next().unwrap_or_default();
        let version = version(controller);
        if setting == NET_CLS_CLASSID {
            // Where the controller is missing (in v2 there is none) the host's firewall does the
            // work alone.
            if let (Some(Version::V1), CgroupValue::Class(class)) = (version, value) {
                writes.push(text(setting, class.number().to_string()));
            }
            continue;
        }
        if is_device_rule(setting) {
            continue;
        }
        match version {
            Some(Version::V2) => writes.extend(translate(setting, value, &settings.values)?),
            _ => writes.push(text(setting, classic(value))),
        }
    }
    Ok(writes)
}

/// Whether a setting is a rule of the devices controller. Those are LXC's to apply: on v2 they are
/// a BPF program that it has attached.
pub fn is_device_rule(setting: &str) -> bool {
    matches!(setting, "devices.allow" | "devices.deny")
}

fn text(file: &str, value: String) -> Write {
    Write {
        controller: file.split('.').next().unwrap_or_default().to_owned(),
        file: file.to_owned(),
        value: Value::Text(value),
    }
}

/// A value as v1 wants it.
fn classic(value: &CgroupValue) -> String {
    match value {
        CgroupValue::Memory(Bytes::Limited(bytes)) => bytes.to_string(),
        CgroupValue::Memory(Bytes::Unlimited) => "-1".to_owned(),
        CgroupValue::Shares(shares) => shares.to_string(),
        CgroupValue::Class(class) => class.number().to_string(),
        CgroupValue::Text(text) => text.clone(),
    }
}

type Values = BTreeMap<String, CgroupValue>;

fn check_swap(values: &Values) -> Result<(), PlanError> {
    match (memory(values, LIMIT), memory(values, SWAP_LIMIT)) {
        (_, None) => Ok(()),
        (Some(limit), Some(both)) if both >= limit => Ok(()),
        (None, Some(Bytes::Unlimited)) => Ok(()),
        (_, Some(_)) => Err(PlanError::SwapWithoutMemory),
    }
}

fn memory(values: &Values, setting: &str) -> Option<Bytes> {
    match values.get(setting) {
        Some(CgroupValue::Memory(bytes)) => Some(*bytes),
        _ => None,
    }
}

fn translate(setting: &str, value: &CgroupValue, all: &Values) -> Result<Option<Write>, PlanError> {
    Ok(Some(match (setting, value) {
        (LIMIT, CgroupValue::Memory(Bytes::Limited(bytes))) => Write {
            controller: "memory".to_owned(),
            file: "memory.max".to_owned(),
            value: Value::MemoryMax(*bytes),
        },
        (LIMIT, _) => text("memory.max", "max".to_owned()),
        (SWAP_LIMIT, CgroupValue::Memory(both)) => {
            let swap = match (both, memory(all, LIMIT)) {
                (Bytes::Limited(both), Some(Bytes::Limited(limit))) => {
                    both.saturating_sub(limit).to_string()
                }
                _ => "max".to_owned(),
            };
            text("memory.swap.max", swap)
        }
        ("cpu.shares", CgroupValue::Shares(shares)) => {
            text("cpu.weight", cpu_weight::of_shares(*shares).to_string())
        }
        (QUOTA, _) => text("cpu.max", bandwidth(all)?),
        // Together with the quota, if there is one; alone it has no effect in v1 either.
        (PERIOD, _) if all.contains_key(QUOTA) => return Ok(None),
        (PERIOD, _) => text("cpu.max", bandwidth(all)?),
        (_, other) => text(setting, classic(other)),
    }))
}

/// `quota period` in microseconds.
fn bandwidth(all: &Values) -> Result<String, PlanError> {
    let number = |setting: &str, default: i64| match all.get(setting) {
        Some(CgroupValue::Text(value)) => {
            value
                .trim()
                .parse::<i64>()
                .map_err(|_| PlanError::NotANumber {
                    setting: setting.to_owned(),
                    value: value.clone(),
                })
        }
        _ => Ok(default),
    };
    let quota = match number(QUOTA, -1)? {
        unlimited if unlimited < 0 => "max".to_owned(),
        quota => quota.to_string(),
    };
    Ok(format!("{quota} {}", number(PERIOD, 100_000)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use softwarecontainer_capability::Settings;

    fn settings(pairs: &[(&str, &str)]) -> CgroupsSettings {
        let mut settings = CgroupsSettings::default();
        for (setting, value) in pairs {
            let element = serde_json::json!({"setting": setting, "value": value});
            settings.merge(element.as_object().unwrap()).unwrap();
        }
        settings
    }

    fn on(version: Version, pairs: &[(&str, &str)]) -> Result<Vec<(String, String)>, PlanError> {
        let writes = plan(&settings(pairs), |_| Some(version))?;
        Ok(writes
            .into_iter()
            .map(|write| {
                let value = match write.value {
                    Value::Text(text) => text,
                    Value::MemoryMax(bytes) => format!("({bytes})"),
                };
                (write.file, value)
            })
            .collect())
    }

    fn pair(file: &str, value: &str) -> (String, String) {
        (file.to_owned(), value.to_owned())
    }

    #[test]
    fn v1_takes_settings_as_they_are() {
        let given = [
            ("memory.limit_in_bytes", "1M"),
            ("memory.memsw.limit_in_bytes", "2M"),
            ("cpu.shares", "512"),
            ("net_cls.classid", "0x100001"),
            ("pids.max", "9"),
        ];
        assert_eq!(
            on(Version::V1, &given).unwrap(),
            [
                pair("cpu.shares", "512"),
                pair("memory.limit_in_bytes", "1048576"),
                pair("memory.memsw.limit_in_bytes", "2097152"),
                pair("net_cls.classid", "1048577"),
                pair("pids.max", "9"),
            ]
        );
        assert_eq!(
            on(Version::V1, &[("memory.limit_in_bytes", "-1")]).unwrap(),
            [pair("memory.limit_in_bytes", "-1")]
        );
    }

    #[test]
    fn v2_gets_what_the_names_of_v1_mean() {
        let given = [
            ("memory.limit_in_bytes", "1M"),
            ("memory.memsw.limit_in_bytes", "3M"),
            ("cpu.shares", "1024"),
            ("net_cls.classid", "0x100001"),
            ("pids.max", "9"),
        ];
        assert_eq!(
            on(Version::V2, &given).unwrap(),
            [
                pair("cpu.weight", "39"),
                pair("memory.max", "(1048576)"),
                pair("memory.swap.max", "2097152"),
                pair("pids.max", "9"),
            ]
        );
        let unlimited = [
            ("memory.limit_in_bytes", "-1"),
            ("memory.memsw.limit_in_bytes", "-1"),
        ];
        assert_eq!(
            on(Version::V2, &unlimited).unwrap(),
            [pair("memory.max", "max"), pair("memory.swap.max", "max")]
        );
    }

    #[test]
    fn bandwidth_is_one_file_in_v2() {
        assert_eq!(
            on(Version::V2, &[(QUOTA, "50000"), (PERIOD, "200000")]).unwrap(),
            [pair("cpu.max", "50000 200000")]
        );
        assert_eq!(
            on(Version::V2, &[(QUOTA, "-1")]).unwrap(),
            [pair("cpu.max", "max 100000")]
        );
        assert_eq!(
            on(Version::V2, &[(PERIOD, "200000")]).unwrap(),
            [pair("cpu.max", "max 200000")]
        );
        // No manifest brings such a value so far: it is refused where it is read.
        let mut settings = CgroupsSettings::default();
        let value = CgroupValue::Text("half".to_owned());
        settings.values.insert(QUOTA.to_owned(), value);
        let error = plan(&settings, |_| Some(Version::V2)).unwrap_err();
        assert_eq!(
            error.to_string(),
            "cpu.cfs_quota_us: \"half\" is not a number"
        );
    }

    #[test]
    fn settings_of_v2_itself_are_passed_on() {
        assert_eq!(
            on(Version::V2, &[("memory.high", "5M")]).unwrap(),
            [pair("memory.high", "5M")]
        );
    }

    #[test]
    fn memory_and_swap_cannot_be_less_than_memory() {
        for version in [Version::V1, Version::V2] {
            for given in [
                vec![
                    ("memory.limit_in_bytes", "2M"),
                    ("memory.memsw.limit_in_bytes", "1M"),
                ],
                vec![("memory.memsw.limit_in_bytes", "1M")],
            ] {
                assert_eq!(on(version, &given), Err(PlanError::SwapWithoutMemory));
            }
        }
    }

    #[test]
    fn without_the_controller_a_class_is_not_written() {
        let class = settings(&[("net_cls.classid", "0x100001")]);
        assert_eq!(plan(&class, |_| None), Ok(Vec::new()));
    }
}
