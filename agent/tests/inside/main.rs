//! The agent's second interface and the objects of containers, against a real agent, bus and
//! containers.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod bound;
mod contract;
mod hanging_files;
#[path = "../lab/mod.rs"]
mod lab;
mod lifetime;
#[path = "../../../network/tests/netns/mod.rs"]
mod netns;
#[cfg(feature = "gateway-network")]
mod network;
mod object;
mod processes;
mod reclaim;
mod signals;
#[path = "../support/mod.rs"]
mod support;
mod users;

use std::collections::HashMap;

use support::Client;
use zbus::OwnedVariant;

/// The interface of a container's object.
const CONTAINER: &str = "com.pelagicore.SoftwareContainerAgent.Container";
/// The name of an error of the second interface.
macro_rules! error {
    ($name:literal) => {
        concat!("com.pelagicore.SoftwareContainerAgent.Error.", $name)
    };
}
pub(crate) use error;

type Properties = HashMap<String, OwnedVariant>;

fn path(id: i32) -> String {
    format!("/com/pelagicore/SoftwareContainerAgent/containers/{id}")
}

/// All properties of a container.
fn properties(client: &Client, id: i32) -> Result<Properties, support::client::CallError> {
    let interface = "org.freedesktop.DBus.Properties";
    let reply = client.call_on(&path(id), interface, "GetAll", &CONTAINER)?;
    Ok(reply.body().deserialize().unwrap())
}

/// A property of type string.
fn text(properties: &Properties, name: &str) -> String {
    String::try_from(properties[name].clone()).unwrap()
}
