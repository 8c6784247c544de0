//! `monitor`: what happens to containers, as it happens.

use serde_json::{Map, Value};
use smol::stream::StreamExt as _;
use softwarecontainer_client::{Client, NAME, PATH};
use zbus::{
    MatchRule, Message, MessageStream, Structure, fdo::DBusProxy, message::Type, names::BusName,
};

use crate::{
    error::Error,
    json,
    output::{harmless, print},
    show::about,
    units::{clock, now},
};

const BUS: &str = "org.freedesktop.DBus";
const MANAGER: &str = "com.pelagicore.SoftwareContainerAgent.Manager";
const OBJECTS: &str = "org.freedesktop.DBus.ObjectManager";
const PROPERTIES: &str = "org.freedesktop.DBus.Properties";
/// The signals of the Manager interface, and what their arguments are called here.
const SIGNALS: [(&str, &[&str]); 5] = [
    ("AccessRefused", &["container", "gateway", "what", "count"]),
    ("ProcessStarted", &["container", "process", "command"]),
    (
        "ProcessEnded",
        &["container", "process", "status", "details"],
    ),
    ("ContainerStateChanged", &["container", "state", "reason"]),
    ("OutOfMemory", &["container", "kills"]),
];
/// The properties whose changes no other signal tells.
const CHANGES: [(&str, &str); 2] = [
    ("Capabilities", "CapabilitiesChanged"),
    ("Mounts", "MountsChanged"),
];

/// Something that happened: what, and the values that belong to it.
#[derive(Debug, PartialEq)]
struct Event {
    name: String,
    values: Map<String, Value>,
}

/// Prints what one container was refused, and then what happens to it, until the bus is gone.
///
/// # Errors
/// [`Error`].
pub async fn trace(client: &Client, id: i32, json: bool) -> Result<(), Error> {
    let container = client.container(id).await?;
    let refused = container
        .refused()
        .await
        .map_err(|error| about(id, error))?;
    for (gateway, what, count, time) in refused.into_iter().rev() {
        let event = Event::new("AccessRefused")
            .with("container", Some(id))
            .with("gateway", Some(gateway))
            .with("what", Some(what))
            .with("count", Some(count));
        show_at(&event, json, time)?;
    }
    monitor(client, json, Some(id)).await
}

/// Prints everything that happens, to one container or to all, until the bus is gone.
///
/// # Errors
/// [`Error`].
pub async fn monitor(client: &Client, json: bool, only: Option<i32>) -> Result<(), Error> {
    let is_wanted = |event: &Event| {
        let container = event.values.get("container");
        only.is_none() || container.is_none() || container == only.map(Value::from).as_ref()
    };
    let connection = client.connection();
    let bus = DBusProxy::new(connection).await.map_err(of_bus)?;
    let rule = MatchRule::builder()
        .msg_type(Type::Signal)
        .sender(BUS)
        .member("NameOwnerChanged")
        .arg(0, NAME)
        .build()
        .map_err(of_bus)?;
    let mut messages = MessageStream::from(connection);
    let added = bus.add_match_rule(rule).await;
    added.map_err(|error| of_bus(error.into()))?;
    // It is started, if it can be.
    client.manager().subscribe().await?;
    let name = BusName::from_static_str(NAME).map_err(of_bus)?;
    let owner = bus.get_name_owner(name).await;
    let mut agent = owner.map_or_else(|_| String::new(), |owner| owner.to_string());
    while let Some(message) = messages.next().await {
        let message = message.map_err(of_bus)?;
        if let Some(owner) = new_owner(&message) {
            let event = match owner.is_empty() {
                true => "AgentGone",
                false => "AgentStarted",
            };
            show(&Event::new(event), json)?;
            if !owner.is_empty() {
                // Should it be gone again, the next message says so.
                let _ = client.manager().subscribe().await;
            }
            agent = owner;
        }
        let header = message.header();
        if header.sender().is_some_and(|it| *it == *agent) {
            for event in events(&message).iter().filter(|event| is_wanted(event)) {
                show(event, json)?;
            }
        }
    }
    Err(Error::AgentGone)
}

fn of_bus(error: zbus::Error) -> Error {
    softwarecontainer_client::Error::from(error).into()
}

/// The unique name of the agent from now on, empty without one, if the bus tells that.
fn new_owner(message: &Message) -> Option<String> {
    let header = message.header();
    let told = header.sender().is_some_and(|it| *it == *BUS)
        && header.member().is_some_and(|it| *it == *"NameOwnerChanged");
    let body = message.body();
    let (name, _, owner) = body
        .deserialize::<(&str, &str, &str)>()
        .ok()
        .filter(|_| told)?;
    (name == NAME).then(|| owner.to_owned())
}

fn events(message: &Message) -> Vec<Event> {
    let header = message.header();
    let (Some(interface), Some(member)) = (header.interface(), header.member()) else {
        return Vec::new();
    };
    if header.message_type() != Type::Signal {
        return Vec::new();
    }
    let body = message.body();
    let arguments = body.deserialize::<Structure<'_>>();
    let arguments: Vec<Value> = arguments.map_or_else(
        |_| Vec::new(),
        |all| all.fields().iter().map(json::value).collect(),
    );
    let id = |path: &str| path.rsplit('/').next().and_then(|it| it.parse().ok());
    match (interface.as_str(), member.as_str()) {
        (MANAGER, name) => vec![of_manager(name, arguments)],
        (OBJECTS, name) => {
            let path = arguments.first().and_then(Value::as_str);
            let name = match name {
                "InterfacesAdded" => "ContainerAdded",
                _ => "ContainerRemoved",
            };
            vec![Event::new(name).with("container", path.and_then(id))]
        }
        (PROPERTIES, _) => {
            let path = header.path().map(|path| path.as_str());
            let container = path.filter(|path| path.starts_with(PATH)).and_then(id);
            of_properties(container, arguments.get(1))
        }
        _ => Vec::new(),
    }
}

fn of_manager(name: &str, arguments: Vec<Value>) -> Event {
    let mut event = Event::new(name);
    match SIGNALS.iter().find(|(known, _)| *known == name) {
        Some((_, names)) => {
            let named = names.iter().map(|name| (*name).to_owned());
            event.values = named.zip(arguments).collect();
        }
        // Of a newer agent.
        None => event = event.with("arguments", Some(arguments)),
    }
    event
}

fn of_properties(container: Option<i64>, changed: Option<&Value>) -> Vec<Event> {
    let changed = changed.and_then(Value::as_object);
    let of = |(property, name): &(&str, &str)| {
        let value = changed?.get(*property)?.clone();
        let event = Event::new(name).with("container", container);
        Some(event.with(&property.to_lowercase(), Some(value)))
    };
    CHANGES.iter().filter_map(of).collect()
}

impl Event {
    fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            values: Map::new(),
        }
    }

    fn with(mut self, name: &str, value: Option<impl Into<Value>>) -> Self {
        if let Some(value) = value {
            self.values.insert(name.to_owned(), value.into());
        }
        self
    }

    fn text(&self, time: u64) -> String {
        let values = self.values.iter();
        let values = values.filter(|(name, _)| *name != "container");
        let values: String = values
            .map(|(name, value)| match value {
                Value::String(text) => format!(" {name}={text:?}"),
                other => format!(" {name}={other}"),
            })
            .collect();
        let container = self.values.get("container");
        let container = container.map_or_else(|| "-".to_owned(), Value::to_string);
        let name = &self.name;
        harmless(&format!("{} {container} {name}{values}", clock(time)))
    }

    fn json(&self, time: u64) -> Value {
        let mut all = self.values.clone();
        all.insert("event".to_owned(), self.name.clone().into());
        all.insert("time".to_owned(), time.into());
        all.into()
    }
}

fn show(event: &Event, json: bool) -> Result<(), Error> {
    show_at(event, json, now())
}

fn show_at(event: &Event, json: bool, time: u64) -> Result<(), Error> {
    let line = match json {
        true => event.json(time).to_string(),
        false => event.text(time),
    };
    Ok(print(&format!("{line}\n"))?)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_happened_is_a_line_for_people_and_an_object_for_programs() {
        let arguments = vec![json!(3), json!(4711), json!("/bin/sh -c \"a\u{1b}\"")];
        let event = of_manager("ProcessStarted", arguments);
        assert_eq!(
            event.text(5_000_000),
            "00:00:05 3 ProcessStarted command=\"/bin/sh -c \\\"a\\u{1b}\\\"\" process=4711"
        );
        assert_eq!(event.json(5)["command"], "/bin/sh -c \"a\u{1b}\"");
        assert_eq!(event.json(5)["event"], "ProcessStarted");
        assert_eq!(event.json(5)["time"], 5);
        assert_eq!(Event::new("AgentGone").text(0), "00:00:00 - AgentGone");
    }

    #[test]
    fn what_a_newer_agent_tells_is_not_lost() {
        let event = of_manager("New", vec![json!(1)]);
        assert_eq!(event.json(0)["arguments"], json!([1]));
    }

    #[test]
    fn a_property_that_a_signal_tells_anyway_is_not_told_twice() {
        let changed = json!({"State": "ready", "Mounts": [["/a", "/b", true]]});
        let [event] = of_properties(Some(7), Some(&changed)).try_into().unwrap();
        assert_eq!(event.name, "MountsChanged");
        assert_eq!(event.values["container"], 7);
        assert_eq!(event.values["mounts"], json!([["/a", "/b", true]]));
    }
}
