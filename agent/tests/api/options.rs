//! The argument of Create.

use proptest::{
    prelude::*,
    test_runner::{Config, TestRunner},
};
use serde_json::{Value, json};

use crate::{
    fails_with,
    support::{Setup, TestAgent},
};

#[test]
fn an_argument_that_is_no_list_of_options_makes_nothing() {
    let agent = TestAgent::start();
    let client = agent.client();
    for (config, parts) in [
        ("", &["empty"][..]),
        ("  \n", &["empty"]),
        ("no json", &["JSON", "line 1"]),
        ("[{\"writeBufferEnabled\": false}", &["JSON", "line 1"]),
        ("[{\"writeBufferEnabled\": false},]", &["JSON"]),
        ("[{'writeBufferEnabled': false}]", &["JSON"]),
        ("[{\"writeBufferEnabled\": false}] trailing", &["JSON"]),
        ("{\"writeBufferEnabled\": false}", &["array"]),
        ("null", &["array"]),
        ("\"[]\"", &["array"]),
        ("42", &["array"]),
        ("[1]", &["[0]", "object"]),
        ("[[]]", &["[0]", "object"]),
        ("[null]", &["[0]", "object"]),
        (
            "[{\"writeBufferEnabled\": false}, \"x\"]",
            &["[1]", "object"],
        ),
        ("[{}]", &["[0]", "writeBufferEnabled", "missing"]),
        (
            "[{\"writeBufferEnabled\": true}, {}]",
            &["[1]", "writeBufferEnabled"],
        ),
        (
            "[{\"writeBufferEnabled\": \"true\"}]",
            &["writeBufferEnabled", "\"true\""],
        ),
        (
            "[{\"writeBufferEnabled\": 1}]",
            &["writeBufferEnabled", "1"],
        ),
        (
            "[{\"writeBufferEnabled\": null}]",
            &["writeBufferEnabled", "null"],
        ),
        (
            "[{\"writeBufferEnabled\": false, \"temporaryFileSystemSize\": \"1M\"}]",
            &["temporaryFileSystemSize", "1M"],
        ),
        (
            "[{\"writeBufferEnabled\": false, \"temporaryFileSystemSize\": -1}]",
            &["temporaryFileSystemSize", "-1"],
        ),
        (
            "[{\"writeBufferEnabled\": false, \"temporaryFileSystemWriteBufferEnabled\": 1}]",
            &["temporaryFileSystemWriteBufferEnabled"],
        ),
    ] {
        fails_with(client.create(config), parts);
    }
    let deep = "[".repeat(60_000);
    fails_with(client.create(&deep), &["JSON"]);
    assert!(client.list().unwrap().is_empty());
    assert!(!agent.container_dir(0).exists());
    // None of them has used up an ID.
    assert_eq!(agent.create(), 0);
}

#[test]
fn an_empty_list_stands_for_all_defaults() {
    let agent = TestAgent::start();
    let id = agent.client().create("[]").unwrap();
    assert_eq!(agent.shell_ok(id, "echo hello"), "hello");
    assert_eq!(size(&agent, id), 100 << 20);
}

/// The size of the file system of a container's own directory, in bytes.
fn size(agent: &TestAgent, id: i32) -> u64 {
    let output = std::process::Command::new("stat")
        .args(["-f", "-c", "%b %S"])
        .arg(agent.container_dir(id))
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    text.split_whitespace()
        .map(|number| number.parse::<u64>().unwrap())
        .product()
}

#[test]
fn later_elements_win_and_unknown_keys_are_ignored_with_a_warning() {
    let agent = TestAgent::start();
    let config = json!([
        {"writeBufferEnabled": false, "temporaryFileSystemWriteBufferEnabled": true, "temporaryFileSystemSize": 1},
        {"writeBufferEnabled": false, "temporaryFileSystemSize": 8 << 20, "newKey": [1]},
    ]);
    let id = agent.client().create(&config.to_string()).unwrap();
    assert_eq!(size(&agent, id), 8 << 20);
    assert!(agent.log().contains("newKey"), "{}", agent.log());
}

#[test]
fn a_size_that_is_not_enabled_does_not_count() {
    let agent = TestAgent::start();
    let config = json!([{"writeBufferEnabled": false, "temporaryFileSystemSize": 8 << 20}]);
    let id = agent.client().create(&config.to_string()).unwrap();
    assert_eq!(size(&agent, id), 100 << 20);
}

/// JSON of all kinds with many chances to be right.
fn values() -> impl Strategy<Value = Value> {
    let scalar = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (-5..5_i64).prop_map(Value::from),
        "[a-z]{0,3}".prop_map(Value::from),
    ];
    let key = prop_oneof![
        4 => Just("writeBufferEnabled".to_owned()),
        1 => Just("temporaryFileSystemWriteBufferEnabled".to_owned()),
        1 => Just("temporaryFileSystemSize".to_owned()),
        1 => "[a-z]{0,3}",
    ];
    let bool_first = prop_oneof![3 => any::<bool>().prop_map(Value::from), 1 => scalar];
    let object = prop::collection::btree_map(key, bool_first.clone(), 0..4)
        .prop_map(|map| Value::Object(map.into_iter().collect()));
    let element = prop_oneof![6 => object.clone(), 1 => bool_first];
    prop_oneof![
        6 => prop::collection::vec(element, 0..3).prop_map(Value::Array),
        1 => object,
    ]
}

/// What the reference says of `Create`'s argument, once more.
fn is_valid(config: &Value) -> bool {
    let valid = |element: &Value| {
        let Value::Object(map) = element else {
            return false;
        };
        map.get("writeBufferEnabled").is_some_and(Value::is_boolean)
            && map
                .get("temporaryFileSystemWriteBufferEnabled")
                .is_none_or(Value::is_boolean)
            && map
                .get("temporaryFileSystemSize")
                .is_none_or(|size| size.as_u64().is_some_and(|size| size > 0))
    };
    // A buffer of a few bytes is valid and cannot hold a container: that is for other tests.
    config
        .as_array()
        .is_some_and(|elements| elements.iter().all(valid))
}

#[test]
fn any_json_makes_a_container_or_an_error() {
    let agent = TestAgent::start();
    let client = agent.client();
    let config = Config {
        cases: 60,
        failure_persistence: None,
        ..Config::default()
    };
    let mut runner = TestRunner::new(config);
    let result = runner.run(&values(), |value| {
        let created = client.create(&value.to_string());
        if !is_valid(&value) {
            prop_assert!(created.is_err(), "{value}");
        } else if value.to_string().contains("Size") {
            // Too small a buffer: whether it works depends on the kernel's page size.
            if let Ok(id) = created {
                client.destroy(id).unwrap();
            }
        } else {
            prop_assert_eq!(created, Ok(0), "{}", value);
            client.destroy(0).unwrap();
        }
        prop_assert!(client.list().unwrap().is_empty());
        Ok(())
    });
    result.unwrap();
    assert!(agent.mounts().is_empty(), "{:?}", agent.mounts());
}

#[test]
fn any_text_is_an_error_or_a_container() {
    let agent = TestAgent::start();
    let client = agent.client();
    let config = Config {
        cases: 60,
        failure_persistence: None,
        ..Config::default()
    };
    let mut runner = TestRunner::new(config);
    let text = "[\\[{]{0,2}[^\\x00]{0,30}[\\]}]{0,2}";
    let result = runner.run(&text, |text| {
        let valid = serde_json::from_str(&text).is_ok_and(|value| is_valid(&value));
        let created = client.create(&text);
        prop_assert_eq!(created.is_ok(), valid, "{:?}", text);
        if let Ok(id) = created {
            client.destroy(id).unwrap();
        }
        Ok(())
    });
    result.unwrap();
}

#[test]
fn a_buffer_that_cannot_hold_a_container_is_an_error_that_leaves_nothing() {
    let agent = TestAgent::start();
    let config = r#"[{"writeBufferEnabled": false, "temporaryFileSystemWriteBufferEnabled": true, "temporaryFileSystemSize": 4096}]"#;
    if let Ok(id) = agent.client().create(config) {
        panic!("container {id} has room in 4096 bytes");
    }
    assert!(agent.mounts().is_empty(), "{:?}", agent.mounts());
    assert!(!agent.container_dir(0).exists());
    assert!(!agent.path("lxc/SC-0").exists());
    assert_eq!(agent.create(), 0);
}

#[test]
fn when_all_addresses_are_used_up_create_says_so_until_one_is_free() {
    let agent = TestAgent::with(&Setup {
        config: "bridge-netmask = 255.255.255.252\nbridge-netmask-bitlength = 30".to_owned(),
        ..Setup::default()
    });
    let client = agent.client();
    let only = agent.create();
    for _ in 0..3 {
        fails_with(client.create("[]"), &["address"]);
    }
    assert_eq!(client.list().unwrap(), [only]);
    client.destroy(only).unwrap();
    assert_eq!(agent.create(), only);
}

#[test]
fn a_bridge_that_is_missing_and_may_not_be_made_is_named() {
    let agent = TestAgent::with(&Setup {
        config: "create-bridge = false".to_owned(),
        ..Setup::default()
    });
    fails_with(agent.client().create("[]"), &[&agent.bridge]);
    assert!(agent.client().list().unwrap().is_empty());
    assert!(agent.mounts().is_empty());
}
