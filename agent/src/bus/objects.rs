//! All objects of containers: they come and go with them, and `org.freedesktop.DBus.ObjectManager`
//! finds them. (zbus's own shows everything to everybody.)

use zbus::{Connection, ObjectPath, Signature, Variant, message::Header, wire::Dict};

use super::{
    desk::Desk,
    error::ManagerError,
    object::{self, ContainerObject},
    properties,
    service::{Answer, Call, Reply, Served, Service},
    values::{Values, dictionaries},
};
use crate::container::facts::Facts;

/// Finds the objects of containers.
pub struct ObjectManager(pub Desk);

impl ObjectManager {
    async fn managed(&self, call: Call<'_>) -> Result<Reply, ManagerError> {
        let (_call, identity) = self.0.look(call.connection, &call.header).await?;
        let interfaces = dictionaries(Vec::new());
        let mut all = Dict::new(&Signature::ObjectPath, interfaces.value_signature());
        for facts in self.0.agent.seen(identity.credentials.as_ref()) {
            let [path, interfaces] = described(&facts);
            // Fails for other types only.
            let _ = all.append(path, interfaces);
        }
        Ok(vec![all.into()].into())
    }
}

impl Service for ObjectManager {
    const NAME: &str = "org.freedesktop.DBus.ObjectManager";
    const CONTRACT: &str =
        include_str!("../../dbus/com.pelagicore.SoftwareContainerAgent.Manager.xml");

    fn call<'a>(&'a self, name: &str, call: Call<'a>) -> Option<Answer<'a, Reply>> {
        match name {
            "GetManagedObjects" => Some(Box::pin(self.managed(call))),
            _ => None,
        }
    }

    fn properties<'a>(&'a self, _: &'a Connection, _: &'a Header<'a>) -> Answer<'a, Values> {
        Box::pin(async { Ok(Vec::new()) })
    }
}

/// The path of a container's object.
pub fn path(facts: &Facts) -> Variant<'static> {
    ObjectPath::from_string_unchecked(object::path(facts.id)).into()
}

/// A container's object: its path, and its interfaces with their properties.
pub fn described(facts: &Facts) -> [Variant<'static>; 2] {
    let interfaces = vec![(ContainerObject::NAME, properties::all(facts))];
    [path(facts), dictionaries(interfaces)]
}

/// Makes the object of a container, unless it is there.
pub async fn publish(connection: &Connection, desk: &Desk, id: i32) {
    let desk = desk.clone();
    let object = Served(ContainerObject { id, desk });
    let server = connection.object_server();
    if let Err(error) = server.at(object::path(id), object).await {
        log::error!("container {id} has no object on the bus: {error}");
    }
}

/// Removes the object of a container that is gone, unless its ID was given to another one.
pub async fn withdraw(connection: &Connection, desk: &Desk, id: i32) {
    if !desk.agent.has(id) {
        let server = connection.object_server();
        // An error means that it is not there.
        let _ = server
            .remove::<Served<ContainerObject>, _>(object::path(id))
            .await;
    }
}
