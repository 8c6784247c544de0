//! Tests of what holds for every gateway, and helpers for the tests of each.

use super::*;
use proptest::prelude::*;
use serde_json::json;
use std::path::Path;

/// The settings that `config` (a whole `config` array) makes out of nothing.
pub(crate) fn merged<S: Settings>(config: Value) -> Result<S, ConfigError> {
    let mut settings = S::default();
    let Value::Array(elements) = config else {
        panic!("a config is an array")
    };
    merge_all(&mut settings, &elements).map_err(|e| e.of_gateway(S::ID))?;
    Ok(settings)
}

fn config(id: &str, number: usize, config: Value) -> GatewayConfig {
    let origin = Origin::new(Path::new("/m/test.json"), "com.example.test", 0, number);
    GatewayConfig {
        id: id.to_owned(),
        config,
        origin,
    }
}

fn append(number: usize) -> GatewayConfig {
    config(
        "env",
        number,
        json!([{"name": "A", "value": number.to_string(), "mode": "append"}]),
    )
}

#[test]
fn a_config_that_comes_again_changes_nothing_even_if_it_appends() {
    let mut settings = GatewaySettings::default();
    settings.add(&[append(1), append(2), append(1)]).unwrap();
    settings.add(&[append(2), append(3)]).unwrap();
    assert_eq!(settings.env.vars["A"], "123");
}

#[test]
fn equal_configs_of_different_capabilities_all_count() {
    let mut settings = GatewaySettings::default();
    let again = GatewayConfig {
        origin: Origin::new(Path::new("/m/other.json"), "other", 0, 0),
        ..append(1)
    };
    settings.add(&[append(1), again]).unwrap();
    assert_eq!(settings.env.vars["A"], "11");
}

#[test]
fn a_failure_changes_nothing() {
    let mut settings = GatewaySettings::default();
    settings.add(&[append(1)]).unwrap();
    let before = settings.clone();
    let error = settings
        .add(&[
            append(2),
            config("wayland", 3, json!([{"enabled": true}, {}])),
        ])
        .unwrap_err();
    assert_eq!(settings, before);
    assert_eq!(
        error.to_string(),
        "gateway \"wayland\", config[1].enabled (capability com.example.test in /m/test.json): is missing"
    );
}

#[test]
fn a_config_is_an_array_with_at_least_one_object() {
    for (wrong, message) in [
        (
            json!([]),
            "config (capability com.example.test in /m/test.json): must have at least one element, but is empty",
        ),
        (
            json!({"enabled": true}),
            "must be an array, but is {\"enabled\":true}",
        ),
        (json!(null), "must be an array, but is null"),
        (
            json!([{"enabled": true}, 7]),
            "config[1] (capability com.example.test in /m/test.json): must be an object, but is 7",
        ),
    ] {
        let error = GatewaySettings::default()
            .add(&[config("wayland", 0, wrong)])
            .unwrap_err()
            .to_string();
        assert!(error.contains(message), "{error}");
    }
}

#[test]
fn an_unknown_gateway_is_an_error_that_names_it() {
    let error = GatewaySettings::default()
        .add(&[config("bluetooth", 0, json!([{}]))])
        .unwrap_err();
    assert!(matches!(error.problem(), Problem::UnknownGateway { .. }));
    assert!(
        error
            .to_string()
            .starts_with("gateway \"bluetooth\", id (capability "),
        "{error}"
    );
}

#[test]
fn every_gateway_tells_its_keys_for_the_check_of_typing_mistakes() {
    for id in GATEWAYS {
        assert!(known_keys(id).is_some(), "{id}");
    }
    assert_eq!(known_keys("bluetooth"), None);
}

/// Any JSON, with a good chance of the keys and values that gateways look for.
pub(crate) fn any_json() -> impl Strategy<Value = Value> {
    let keys: Vec<&'static str> = GATEWAYS
        .iter()
        .filter_map(|id| known_keys(id))
        .flatten()
        .copied()
        .collect();
    let key =
        prop_oneof![4 => prop::sample::select(keys), 1 => Just("other")].prop_map(str::to_owned);
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        (0..70_000).prop_map(Value::from),
        any::<String>().prop_map(Value::from),
        "[*?/a-z0-9.:=-]{0,12}".prop_map(Value::from),
        prop::sample::select(vec![
            "set",
            "append",
            "OUTGOING",
            "INCOMING",
            "*",
            "tcp",
            "660",
            "/dev/null",
            "0x100001",
            "10.0.0.0/8",
            "::/0",
            "ptrace",
            "net_raw",
            "64M"
        ])
        .prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 32, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::btree_map(key.clone(), inner, 0..6)
                .prop_map(|m| Value::Object(m.into_iter().collect())),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn no_gateway_panics_on_any_json_and_a_failure_changes_nothing(which in 0..GATEWAYS.len(), json in any_json()) {
        let mut settings = GatewaySettings::default();
        let id = GATEWAYS[which];
        let elements = if json.is_array() { json } else { json!([json]) };
        if let Err(error) = settings.add(&[config(id, 0, elements)]) {
            prop_assert_eq!(settings, GatewaySettings::default());
            prop_assert_eq!(error.gateway(), id);
            prop_assert!(error.to_string().contains("config"));
        }
    }

    #[test]
    fn asking_for_the_same_a_second_time_changes_nothing(which in 0..GATEWAYS.len(), json in any_json()) {
        // Two capabilities may append the same to a variable, so for env only the very same config
        // is a repeat.
        let second = usize::from(GATEWAYS[which] != "env");
        let mut settings = GatewaySettings::default();
        if settings.add(&[config(GATEWAYS[which], 0, json!([json]))]).is_ok() {
            let mut again = settings.clone();
            prop_assert!(again.add(&[config(GATEWAYS[which], second, json!([json]))]).is_ok());
            again.merged = settings.merged.clone();
            prop_assert_eq!(again, settings);
        }
    }
}
