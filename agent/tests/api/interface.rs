//! The interface's names and types.

use softwarecontainer_agent::bus::NAME;

use crate::support::{TestAgent, introspection::members};

const INVALID_ARGS: &str = "org.freedesktop.DBus.Error.InvalidArgs";

#[test]
fn the_live_object_is_what_the_contract_says() {
    let agent = TestAgent::start();
    let live = agent.client().introspect();
    let contract = include_str!("../../dbus/com.pelagicore.SoftwareContainerAgent.xml");
    let members_of_contract = members(contract, NAME);
    assert_eq!(members_of_contract.len(), 10);
    assert_eq!(members(&live, NAME), members_of_contract, "{live}");
}

#[test]
fn arguments_of_wrong_types_are_invalid() {
    let agent = TestAgent::start();
    let client = agent.client();
    let name = |result: Result<_, (String, String)>| result.unwrap_err().0;
    assert_eq!(name(client.call("Create", &1_i32)), INVALID_ARGS);
    assert_eq!(name(client.call("Create", &())), INVALID_ARGS);
    for method in ["Destroy", "Suspend", "Resume"] {
        assert_eq!(name(client.call(method, &"0")), INVALID_ARGS, "{method}");
        assert_eq!(name(client.call(method, &0_u32)), INVALID_ARGS, "{method}");
        assert_eq!(name(client.call(method, &())), INVALID_ARGS, "{method}");
    }
    let mount = client.call("BindMount", &(0_i32, "/a", "/b", "true"));
    assert_eq!(name(mount), INVALID_ARGS);
    let mount = client.call("BindMount", &(0_i32, "/a", "/b"));
    assert_eq!(name(mount), INVALID_ARGS);
    let set = client.call("SetCapabilities", &(0_i32, "one"));
    assert_eq!(name(set), INVALID_ARGS);
    let execute = client.call("Execute", &(0_i32, "true", "", "", vec!["A=1"]));
    assert_eq!(name(execute), INVALID_ARGS);
    assert!(client.list().unwrap().is_empty());
}

#[test]
fn a_method_that_does_not_exist_is_unknown() {
    let agent = TestAgent::start();
    let (name, _) = agent.client().call("Explode", &()).unwrap_err();
    assert_eq!(name, "org.freedesktop.DBus.Error.UnknownMethod");
}
