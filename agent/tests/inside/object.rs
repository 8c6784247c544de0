//! What is told of a container.

use std::{collections::HashMap, fs};

use zbus::{OwnedObjectPath, OwnedVariant, Variant};

use crate::{
    CONTAINER, Properties, error, path, properties,
    support::{Client, Setup, TestAgent},
    text,
};

fn statistics(client: &Client, id: i32) -> Properties {
    let reply = client.call_on(&path(id), CONTAINER, "GetStatistics", &());
    reply.unwrap().body().deserialize().unwrap()
}

fn number(values: &Properties, name: &str) -> u64 {
    let value = values
        .get(name)
        .unwrap_or_else(|| panic!("no {name} in {values:?}"));
    u64::try_from(value.clone()).unwrap()
}

fn list<T>(properties: &Properties, name: &str) -> Vec<T>
where
    Vec<T>: TryFrom<OwnedVariant, Error: std::fmt::Debug>,
{
    Vec::try_from(properties[name].clone()).unwrap()
}

#[test]
fn a_container_tells_what_it_is_and_what_it_was_given() {
    let manifest = r#"{"capabilities": [
        {"name": "org.example.env", "gateways": [{"id": "env", "config": [{"name": "A", "value": "1"}]}]},
        {"name": "org.example.nothing", "gateways": []}]}"#;
    let agent = TestAgent::with(&Setup::manifest(manifest));
    let client = agent.client();
    let config = r#"[{"writeBufferEnabled": true, "userID": 1000}]"#;
    let environment = HashMap::from([("FROM_CREATE", "yes"), ("A", "0")]);
    let options = HashMap::from([
        ("label", Variant::from("Maps and more")),
        ("environment", Variant::from(environment)),
    ]);
    let reply = client
        .manage("CreateNamed", &(config, "org.example.Maps", options))
        .unwrap();
    let (id, object): (i32, OwnedObjectPath) = reply.body().deserialize().unwrap();
    assert_eq!(object.as_str(), path(id));
    client
        .set_capabilities(id, &["org.example.nothing", "org.example.env"])
        .unwrap();
    let shared = agent.path("shared");
    fs::create_dir(&shared).unwrap();
    let shared = shared.to_str().unwrap();
    client.bind_mount(id, shared, "/app/shared", true).unwrap();
    let pid = client.execute(id, "/bin/sleep 1000", "", "", &[]).unwrap();

    let seen = properties(client, id).unwrap();
    assert_eq!(i32::try_from(seen["ID"].clone()).unwrap(), id);
    assert_eq!(text(&seen, "AppID"), "org.example.Maps");
    assert_eq!(text(&seen, "Label"), "Maps and more");
    assert_eq!(text(&seen, "Options"), config);
    assert_eq!(text(&seen, "State"), "ready");
    assert_eq!(text(&seen, "StateReason"), "call");
    assert_eq!(u32::try_from(seen["Creator"].clone()).unwrap(), 0);
    assert_eq!(u32::try_from(seen["User"].clone()).unwrap(), 1000);
    assert_eq!(
        u32::try_from(seen["Init"].clone()).unwrap(),
        agent.init_pid(id)
    );
    let capabilities: Vec<String> = list(&seen, "Capabilities");
    assert_eq!(capabilities, ["org.example.env", "org.example.nothing"]);
    let addresses: Vec<String> = list(&seen, "Addresses");
    let (second, third) = agent.network;
    assert_eq!(addresses[0], format!("10.{second}.{third}.2"));
    let mounts: Vec<(String, String, bool)> = list(&seen, "Mounts");
    assert_eq!(
        mounts,
        [(shared.to_owned(), "/app/shared".to_owned(), true)]
    );
    let processes: Vec<(u32, String, u64)> = list(&seen, "Processes");
    assert_eq!(processes.len(), 1);
    assert_eq!(
        (processes[0].0, processes[0].1.as_str()),
        (pid, "/bin/sleep 1000")
    );
    assert!(processes[0].2 >= number(&seen, "Since"));
    // As with Execute, what a launcher says wins over what capabilities say.
    assert_eq!(agent.shell_ok(id, "echo $FROM_CREATE $A"), "yes 0");
}

#[test]
fn statistics_are_what_the_kernel_counts() {
    let agent = TestAgent::start();
    let id = agent.create();
    let before = statistics(agent.client(), id);
    for name in [
        "cpu-time",
        "memory",
        "memory-peak",
        "memory-limit",
        "tasks-limit",
    ] {
        assert!(number(&before, name) > 0, "{name}");
    }
    assert_eq!(number(&before, "oom-kills"), 0);
    agent.shell_ok(
        id,
        "head -c 1000000 /dev/zero > /tmp/file; sha256sum /tmp/file",
    );
    let after = statistics(agent.client(), id);
    assert!(number(&after, "storage") >= number(&before, "storage") + 1_000_000);
    assert!(number(&after, "storage") < number(&after, "storage-size"));
    assert!(number(&after, "cpu-time") > number(&before, "cpu-time"));
    // Nothing could be sent so far.
    assert!(number(&after, "network-sent") < 10_000);
}

#[test]
fn arguments_of_create_named_that_cannot_be_used_are_named() {
    let agent = TestAgent::start();
    let none = || HashMap::<&str, Variant<'_>>::new();
    let bad = |app: &str, options: HashMap<&str, Variant<'_>>| {
        let config = r#"[{"writeBufferEnabled": false}]"#;
        agent
            .client()
            .manage("CreateNamed", &(config, app, options))
            .unwrap_err()
    };
    let long = "x".repeat(257);
    for (app, options, part) in [
        (long.as_str(), none(), "appID"),
        ("a\nb", none(), "appID"),
        ("a", HashMap::from([("lable", Variant::from("x"))]), "lable"),
        ("a", HashMap::from([("label", Variant::from(1))]), "label"),
        (
            "a",
            HashMap::from([("environment", Variant::from(HashMap::from([("A=B", "1")])))]),
            "A=B",
        ),
    ] {
        let (name, text) = bad(app, options);
        assert_eq!(name, error!("InvalidArgument"), "{text}");
        assert!(text.contains(part), "{text}");
    }
    let (name, text) = agent
        .client()
        .manage("CreateNamed", &("{}", "a", none()))
        .unwrap_err();
    assert_eq!(name, error!("InvalidArgument"), "{text}");
    assert!(agent.client().list().unwrap().is_empty());
}

#[test]
fn an_object_is_there_as_long_as_its_container() {
    let agent = TestAgent::start();
    for _ in 0..3 {
        let id = agent.create();
        assert_eq!(id, 0);
        assert_eq!(
            text(&properties(agent.client(), id).unwrap(), "State"),
            "ready"
        );
        agent.client().destroy(id).unwrap();
        properties(agent.client(), id).unwrap_err();
    }
}
