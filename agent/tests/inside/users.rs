//! Launchers of several users: each sees its own containers here, too.

use std::collections::HashMap;

use zbus::{OwnedObjectPath, Variant};

use crate::{
    CONTAINER, Properties, error, path, properties,
    support::{Client, TestAgent},
};

/// Users that every host has: daemon and bin.
const FIRST: u32 = 1;
const SECOND: u32 = 2;

fn create(client: &Client) -> i32 {
    let options = HashMap::<&str, Variant<'_>>::new();
    let config = r#"[{"writeBufferEnabled": false}]"#;
    let reply = client
        .manage("CreateNamed", &(config, "", options))
        .unwrap();
    reply
        .body()
        .deserialize::<(i32, OwnedObjectPath)>()
        .unwrap()
        .0
}

fn managed(client: &Client) -> Vec<String> {
    let reply = client
        .call_on(
            "/com/pelagicore/SoftwareContainerAgent",
            "org.freedesktop.DBus.ObjectManager",
            "GetManagedObjects",
            &(),
        )
        .unwrap();
    let objects: HashMap<OwnedObjectPath, HashMap<String, Properties>> =
        reply.body().deserialize().unwrap();
    let mut paths: Vec<_> = objects.keys().map(ToString::to_string).collect();
    paths.sort();
    paths
}

#[test]
fn the_container_of_another_user_is_not_there() {
    let agent = TestAgent::start();
    let (first, second) = (agent.client_of(FIRST), agent.client_of(SECOND));
    let id = create(&first);
    assert_eq!(managed(&first), [path(id)]);
    assert_eq!(managed(agent.client()), [path(id)]);
    assert_eq!(managed(&second), [] as [String; 0]);
    const UNKNOWN: &str = "org.freedesktop.DBus.Error.UnknownObject";
    assert_eq!(properties(&second, id).unwrap_err().0, UNKNOWN);
    let one = second.call_on(
        &path(id),
        "org.freedesktop.DBus.Properties",
        "Get",
        &(CONTAINER, "State"),
    );
    assert_eq!(one.unwrap_err().0, UNKNOWN);
    let statistics = second.call_on(&path(id), CONTAINER, "GetStatistics", &());
    assert_eq!(statistics.unwrap_err().0, error!("NoSuchContainer"));
}

#[test]
fn what_happens_in_the_container_of_another_user_is_not_told() {
    let agent = TestAgent::start();
    let (first, second) = (agent.client_of(FIRST), agent.client_of(SECOND));
    second.manage("Subscribe", &()).unwrap();
    first.manage("Subscribe", &()).unwrap();
    let id = create(&first);
    let secret = "/bin/echo secret";
    let pid = first.execute(id, secret, "", "", &[]).unwrap();
    first.wait_ended(id, pid);
    first.destroy(id).unwrap();
    // One of its own, so that what came before has arrived.
    let own = create(&second);
    second.wait_signal("InterfacesAdded", |message| {
        (message.header().member()? == "InterfacesAdded").then_some(())
    });
    let told = second.other_signals();
    assert!(told.is_empty(), "{told:?}");
    second.destroy(own).unwrap();
    first.wait_signal("ProcessStarted", |message| {
        (message.header().member()? == "ProcessStarted").then_some(())
    });
}
