use super::*;
use crate::gateway::tests::merged;
use proptest::prelude::*;
use serde_json::{Value, json};

fn all(pairs: &[(&str, &str)]) -> Result<CgroupsSettings, ConfigError> {
    let list: Vec<Value> = pairs
        .iter()
        .map(|(s, v)| json!({"setting": s, "value": v}))
        .collect();
    merged(list.into())
}

fn value(pairs: &[(&str, &str)]) -> CgroupValue {
    let settings = all(pairs).unwrap();
    settings.values[pairs[0].0].clone()
}

const LIMIT: &str = "memory.limit_in_bytes";

fn memory(bytes: u64) -> CgroupValue {
    CgroupValue::Memory(Bytes::Limited(bytes))
}

#[test]
fn memory_is_in_bytes_or_powers_of_1024() {
    for (text, bytes) in [
        ("4096", 4096),
        ("2k", 2048),
        ("2K", 2048),
        ("3m", 3 << 20),
        ("3M", 3 << 20),
        ("1g", 1 << 30),
        ("5G", 5 << 30),
        ("0", 0),
    ] {
        assert_eq!(value(&[(LIMIT, text)]), memory(bytes), "{text}");
        assert_eq!(
            value(&[("memory.memsw.limit_in_bytes", text)]),
            memory(bytes),
            "{text}"
        );
    }
    assert_eq!(
        value(&[(LIMIT, "-1")]),
        CgroupValue::Memory(Bytes::Unlimited)
    );
}

#[test]
fn the_larger_memory_limit_wins_whatever_the_order() {
    assert_eq!(
        value(&[(LIMIT, "1M"), (LIMIT, "2000k")]),
        memory(2000 << 10)
    );
    assert_eq!(
        value(&[(LIMIT, "2000k"), (LIMIT, "1M")]),
        memory(2000 << 10)
    );
    assert_eq!(
        value(&[(LIMIT, "-1"), (LIMIT, "1G")]),
        CgroupValue::Memory(Bytes::Unlimited)
    );
}

#[test]
fn the_larger_share_wins_whatever_the_order() {
    assert_eq!(
        value(&[("cpu.shares", "2"), ("cpu.shares", "1024")]),
        CgroupValue::Shares(1024)
    );
    assert_eq!(
        value(&[("cpu.shares", "1024"), ("cpu.shares", "999")]),
        CgroupValue::Shares(1024)
    );
}

#[test]
fn the_last_class_wins() {
    let settings = all(&[(NET_CLS_CLASSID, "0x200002"), (NET_CLS_CLASSID, "0x100001")]).unwrap();
    assert_eq!(settings.class().unwrap().number(), 0x0010_0001);
}

#[test]
fn a_class_is_shown_as_tc_writes_it() {
    for (text, shown) in [
        ("0x100001", "10:1"),
        ("0xAAAABBBB", "aaaa:bbbb"),
        ("0x1000f", "1:f"),
    ] {
        assert_eq!(ClassId::parse(text).unwrap().to_string(), shown);
    }
    assert_eq!(CgroupsSettings::default().class(), None);
}

#[test]
fn other_settings_are_passed_on_and_the_last_one_wins() {
    let settings = all(&[("pids.max", "5"), ("cpuset.cpus", "0-1"), ("pids.max", "3")]).unwrap();
    assert_eq!(
        settings.values["pids.max"],
        CgroupValue::Text("3".to_owned())
    );
    assert_eq!(
        settings.values["cpuset.cpus"],
        CgroupValue::Text("0-1".to_owned())
    );
}

#[test]
fn what_is_malformed_is_refused_by_name() {
    for (element, wrong) in [
        (json!({"value": "1"}), "setting: is missing"),
        (json!({"setting": LIMIT}), "value: is missing"),
        (
            json!({"setting": LIMIT, "value": 7}),
            "value: must be a string",
        ),
        (
            json!({"setting": LIMIT, "value": ""}),
            "value: \"\" must not be empty",
        ),
        (
            json!({"setting": 7, "value": "1"}),
            "setting: must be a string",
        ),
        (
            json!({"setting": "memory", "value": "1"}),
            "setting: \"memory\" is not a setting",
        ),
        (json!({"setting": ".x", "value": "1"}), "is not a setting"),
        (
            json!({"setting": "a/../../b.c", "value": "1"}),
            "is not a setting",
        ),
        (
            json!({"setting": "a...c", "value": "1"}),
            "is not a setting",
        ),
        (
            json!({"setting": "cgroup.procs", "value": "1"}),
            "belongs to no controller",
        ),
        (
            json!({"setting": LIMIT, "value": "12x"}),
            "value: \"12x\" is not a number of bytes",
        ),
        (
            json!({"setting": LIMIT, "value": "-2"}),
            "is not a number of bytes",
        ),
        (
            json!({"setting": LIMIT, "value": "+2"}),
            "is not a number of bytes",
        ),
        (
            json!({"setting": LIMIT, "value": "M"}),
            "is not a number of bytes",
        ),
        (
            json!({"setting": LIMIT, "value": "1 M"}),
            "is not a number of bytes",
        ),
        (
            json!({"setting": LIMIT, "value": "1ä"}),
            "is not a number of bytes",
        ),
        (
            json!({"setting": LIMIT, "value": "99999999999999999999"}),
            "is more than 2^64 bytes",
        ),
        (
            json!({"setting": LIMIT, "value": "18446744073709551615k"}),
            "is more than 2^64",
        ),
        (json!({"setting": "cpu.shares", "value": "1"}), "at least 2"),
        (
            json!({"setting": "cpu.shares", "value": "1.5"}),
            "at least 2",
        ),
        (
            json!({"setting": NET_CLS_CLASSID, "value": "0x0001"}),
            "is not of the form 0xAAAABBBB",
        ),
        (
            json!({"setting": NET_CLS_CLASSID, "value": "100001"}),
            "is not of the form",
        ),
        (
            json!({"setting": NET_CLS_CLASSID, "value": "0x123456789"}),
            "is not of the form",
        ),
        (
            json!({"setting": NET_CLS_CLASSID, "value": "0x10000g"}),
            "is not of the form",
        ),
        (
            json!({"setting": NET_CLS_CLASSID, "value": "0x+10001"}),
            "is not of the form",
        ),
        (
            json!({"setting": "pids.max", "value": "1\n2"}),
            "has more than one line",
        ),
    ] {
        let error = merged::<CgroupsSettings>(json!([element]))
            .unwrap_err()
            .to_string();
        assert!(error.contains(wrong), "{error}");
    }
}

#[test]
fn a_value_takes_the_place_of_a_default_one_whichever_comes_first_and_is_larger() {
    let element =
        |value: &str, default: bool| json!({"setting": LIMIT, "value": value, "default": default});
    let limit = |elements: Value| {
        let settings: CgroupsSettings = merged(elements).unwrap();
        settings.values[LIMIT].clone()
    };
    let (small, large) = (element("64M", false), element("512M", true));
    assert_eq!(limit(json!([large, small])), memory(64 << 20));
    assert_eq!(limit(json!([small, large])), memory(64 << 20));
    assert_eq!(limit(json!([large, small, large])), memory(64 << 20));
    // Among equals the larger one wins, as in 0.19.
    let (less, more) = (element("1G", false), element("256M", true));
    assert_eq!(limit(json!([large, more])), memory(512 << 20));
    assert_eq!(limit(json!([small, less])), memory(1 << 30));
    let wrong = merged::<CgroupsSettings>(json!([{"setting": LIMIT, "value": "1M", "default": 1}]));
    assert!(
        wrong
            .unwrap_err()
            .to_string()
            .contains("default: must be true or false")
    );
}

proptest! {
    #[test]
    fn merging_limits_knows_no_order_and_no_repetition(a in any::<u32>(), b in any::<u32>()) {
        let (x, y) = (format!("{a}k"), b.to_string());
        let both = value(&[(LIMIT, &x), (LIMIT, &y)]);
        prop_assert_eq!(&both, &value(&[(LIMIT, &y), (LIMIT, &x)]));
        prop_assert_eq!(&both, &value(&[(LIMIT, &x), (LIMIT, &y), (LIMIT, &x)]));
        prop_assert_eq!(both, memory((u64::from(a) << 10).max(u64::from(b))));
    }

    #[test]
    fn a_class_survives_its_notation(major in 1..=u16::MAX, minor: u16) {
        let class = ClassId::parse(&format!("0x{major:x}{minor:04X}")).unwrap();
        prop_assert_eq!(class.number(), u32::from(major) << 16 | u32::from(minor));
        prop_assert_eq!(class.to_string(), format!("{major:x}:{minor:x}"));
    }

    #[test]
    fn no_setting_leads_out_of_its_directory(name in "[a-z./_]{1,20}") {
        if all(&[(&name, "1")]).is_ok() {
            prop_assert!(!name.contains('/') && !name.contains(".."));
        }
    }
}
