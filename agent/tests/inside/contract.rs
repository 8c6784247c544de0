//! The XML in the tree and the live objects.

use softwarecontainer_agent::bus::NAME;

use crate::{
    CONTAINER, path, properties,
    support::{TestAgent, introspection::members},
};

const MANAGER: &str = include_str!("../../dbus/com.pelagicore.SoftwareContainerAgent.Manager.xml");
const OF_CONTAINER: &str =
    include_str!("../../dbus/com.pelagicore.SoftwareContainerAgent.Container.xml");

#[test]
fn the_live_objects_are_what_the_contract_says() {
    let agent = TestAgent::start();
    let id = agent.create();
    let live = agent.client().introspect();
    for interface in [
        &format!("{NAME}.Manager"),
        "org.freedesktop.DBus.ObjectManager",
    ] {
        let contract = members(MANAGER, interface);
        assert!(!contract.is_empty());
        assert_eq!(members(&live, interface), contract, "{live}");
    }
    let live = agent.client().introspect_at(&path(id));
    assert_eq!(members(&live, CONTAINER), members(OF_CONTAINER, CONTAINER));
}

/// What is told of the object is the contract itself, so its values are looked at.
#[test]
fn every_property_and_reply_of_a_container_has_the_type_of_the_contract() {
    let agent = TestAgent::start();
    let id = agent.create();
    let mut promised = 0;
    let live = properties(agent.client(), id).unwrap();
    for (member, attributes) in members(OF_CONTAINER, CONTAINER) {
        let Some(name) = member.strip_prefix("property ") else {
            continue;
        };
        promised += 1;
        assert_eq!(
            live[name].value_signature().to_string(),
            attributes[0]["type"],
            "{name}"
        );
        let one = agent.client().call_on(
            &path(id),
            "org.freedesktop.DBus.Properties",
            "Get",
            &(CONTAINER, name),
        );
        assert_eq!(one.unwrap().body().signature().to_string(), "v");
    }
    assert_eq!(live.len(), promised);
    for (call, types) in [("GetStatistics", "a{sv}"), ("GetRules", "a(ssss)")] {
        let reply = agent.client().call_on(&path(id), CONTAINER, call, &());
        assert_eq!(reply.unwrap().body().signature().to_string(), types);
    }
    let unknown = agent.client().call_on(&path(id), CONTAINER, "Explode", &());
    assert_eq!(
        unknown.unwrap_err().0,
        "org.freedesktop.DBus.Error.UnknownMethod"
    );
    let set = agent.client().call_on(
        &path(id),
        "org.freedesktop.DBus.Properties",
        "Set",
        &(CONTAINER, "Label", zbus::Variant::from("x")),
    );
    assert_eq!(
        set.unwrap_err().0,
        "org.freedesktop.DBus.Error.PropertyReadOnly"
    );
}
