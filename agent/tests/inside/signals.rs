//! What is told of what happens.

use std::collections::HashMap;

use softwarecontainer_agent::host::cgroup::{Cgroups, Version};
use zbus::{Message, OwnedObjectPath, OwnedVariant};

use crate::{
    CONTAINER, Properties, path, properties,
    support::{Client, Setup, TestAgent, signal},
    text,
};

const LITTLE: &str = r#"{"capabilities": [{"name": "org.example.little", "gateways": [
    {"id": "cgroups", "config": [{"setting": "memory.limit_in_bytes", "value": "30000000"}]}]}]}"#;
const SWALLOW: &str = "/usr/bin/python3 -c 'x = bytearray(200000000); print(len(x))'";

fn is(message: &Message, member: &str) -> bool {
    message.header().member().is_some_and(|it| it == member)
}

fn state(client: &Client, id: i32) -> (String, String) {
    client.wait_signal("ContainerStateChanged", |message| {
        let changed = is(message, "ContainerStateChanged").then(|| message.body());
        let (container, state, reason): (i32, _, _) = changed?.deserialize().ok()?;
        (container == id).then_some((state, reason))
    })
}

/// The next change of a property that is told of a container.
fn changed(client: &Client, id: i32, name: &str) -> OwnedVariant {
    client.wait_signal(name, |message| {
        let header = message.header();
        if !is(message, "PropertiesChanged") || header.path()?.as_str() != path(id) {
            return None;
        }
        let body = message.body();
        let (interface, mut changed, invalidated): (String, Properties, Vec<String>) =
            body.deserialize().unwrap();
        assert_eq!((interface.as_str(), invalidated.len()), (CONTAINER, 0));
        changed.remove(name)
    })
}

fn reason_of_end(client: &Client, pid: u32) -> String {
    client.wait_signal("ProcessEnded", |message| {
        let ended = is(message, "ProcessEnded").then(|| message.body());
        let (_, process, _, details): (i32, u32, u32, Properties) = ended?.deserialize().ok()?;
        (process == pid).then(|| text(&details, "reason"))
    })
}

#[test]
fn a_client_that_subscribes_is_told_everything() {
    let agent = TestAgent::start();
    let client = agent.client();
    client.manage("Subscribe", &()).unwrap();
    let id = agent.create();
    let added = client.wait_signal("InterfacesAdded", |message| {
        let added = is(message, "InterfacesAdded").then(|| message.body());
        let added: (OwnedObjectPath, HashMap<String, Properties>) = added?.deserialize().ok()?;
        Some(added)
    });
    assert_eq!(added.0.as_str(), path(id));
    assert_eq!(text(&added.1[CONTAINER], "State"), "ready");

    let pid = client.execute(id, "/bin/sleep 1000", "", "", &[]).unwrap();
    let started = client.wait_signal("ProcessStarted", |message| {
        let started = is(message, "ProcessStarted").then(|| message.body());
        Some(started?.deserialize::<(i32, u32, String)>().unwrap())
    });
    assert_eq!(started, (id, pid, "/bin/sleep 1000".to_owned()));
    let running: Vec<(u32, String, u64)> = changed(client, id, "Processes").try_into().unwrap();
    assert_eq!(running[0].0, pid);
    signal(pid, "TERM");
    assert_eq!(reason_of_end(client, pid), "signal");
    let running: Vec<(u32, String, u64)> = changed(client, id, "Processes").try_into().unwrap();
    assert!(running.is_empty());
    let pid = client.execute(id, "/bin/true", "", "", &[]).unwrap();
    assert_eq!(reason_of_end(client, pid), "exit");

    client.suspend(id).unwrap();
    assert_eq!(
        state(client, id),
        ("suspended".to_owned(), "call".to_owned())
    );
    assert_eq!(
        String::try_from(changed(client, id, "State")).unwrap(),
        "suspended"
    );
    client.resume(id).unwrap();
    assert_eq!(state(client, id), ("ready".to_owned(), "call".to_owned()));
    client.destroy(id).unwrap();
    assert_eq!(
        state(client, id),
        ("destroying".to_owned(), "call".to_owned())
    );
    assert_eq!(
        state(client, id),
        ("destroyed".to_owned(), "call".to_owned())
    );
    client.wait_signal("InterfacesRemoved", |message| {
        let removed = is(message, "InterfacesRemoved").then(|| message.body());
        let (object, _): (OwnedObjectPath, Vec<String>) = removed?.deserialize().ok()?;
        (object.as_str() == path(id)).then_some(())
    });
}

#[test]
fn a_container_that_ends_by_itself_says_so() {
    let agent = TestAgent::start();
    agent.client().manage("Subscribe", &()).unwrap();
    let id = agent.create();
    signal(agent.init_pid(id), "KILL");
    assert_eq!(
        state(agent.client(), id),
        ("ended".to_owned(), "by-itself".to_owned())
    );
    let seen = properties(agent.client(), id).unwrap();
    assert_eq!(text(&seen, "State"), "ended");
}

/// With cgroup v1 the kernel kills one process in any case.
#[test]
fn a_container_that_the_kernel_kills_for_memory_says_so() {
    let agent = TestAgent::with(&Setup::manifest(LITTLE));
    let client = agent.client();
    client.manage("Subscribe", &()).unwrap();
    let id = agent.create();
    client
        .set_capabilities(id, &["org.example.little"])
        .unwrap();
    let cgroups = Cgroups::of_process(agent.init_pid(id)).unwrap();
    let beside = client.execute(id, "/bin/sleep 1000", "", "", &[]).unwrap();
    let hungry = client.execute(id, SWALLOW, "", "", &[]).unwrap();
    if cgroups.version("memory") == Some(Version::V2) {
        for pid in [beside, hungry] {
            assert_eq!(reason_of_end(client, pid), "out-of-memory");
        }
        let ended = ("ended".to_owned(), "out-of-memory".to_owned());
        assert_eq!(state(client, id), ended);
    } else {
        assert_eq!(reason_of_end(client, hungry), "out-of-memory");
        let seen = properties(client, id).unwrap();
        assert_eq!(text(&seen, "State"), "ready");
    }
}

#[test]
fn a_process_that_memory_is_too_short_for_says_so() {
    let agent = TestAgent::with(&Setup {
        config: "oom-group = false\n".to_owned(),
        ..Setup::manifest(LITTLE)
    });
    let client = agent.client();
    client.manage("Subscribe", &()).unwrap();
    let id = agent.create();
    client
        .set_capabilities(id, &["org.example.little"])
        .unwrap();
    let pid = client.execute(id, SWALLOW, "", "", &[]).unwrap();
    assert_eq!(client.wait_ended(id, pid).exit_code, 9);
    assert_eq!(reason_of_end(client, pid), "out-of-memory");
    let kills = client.wait_signal("OutOfMemory", |message| {
        let killed = is(message, "OutOfMemory").then(|| message.body());
        Some(killed?.deserialize::<(i32, u64)>().unwrap())
    });
    assert_eq!(kills, (id, 1));
    assert!(agent.log().contains("out of memory"), "{}", agent.log());
    // What is killed for another reason later is not called so.
    let pid = client.execute(id, "/bin/sleep 1000", "", "", &[]).unwrap();
    signal(pid, "KILL");
    assert_eq!(reason_of_end(client, pid), "signal");
}

#[test]
fn who_has_not_asked_is_told_the_ends_of_processes_only() {
    let agent = TestAgent::start();
    let id = agent.create();
    let watcher = agent.new_client();
    properties(&watcher, id).unwrap();
    let pid = agent
        .client()
        .execute(id, "/bin/true", "", "", &[])
        .unwrap();
    agent.client().wait_ended(id, pid);
    reason_of_end(&watcher, pid);
    assert!(agent.client().other_signals().is_empty());
    watcher.manage("Unsubscribe", &()).unwrap();
    let pid = agent
        .client()
        .execute(id, "/bin/true", "", "", &[])
        .unwrap();
    agent.client().wait_ended(id, pid);
    watcher.manage("Unsubscribe", &()).unwrap();
    let late = watcher.other_signals();
    let told = late.iter().filter(|message| {
        let started = is(message, "ProcessStarted").then(|| message.body());
        let started = started.and_then(|body| body.deserialize::<(i32, u32, String)>().ok());
        started.is_some_and(|(_, process, _)| process == pid)
    });
    assert_eq!(told.count(), 0);
}
