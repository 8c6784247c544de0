//! Other clients of the bus: who they are, and that they leave.

use zbus::{Connection, Message};

/// The bus itself (D-Bus specification, "Message Bus Messages").
pub const BUS: &str = "org.freedesktop.DBus";

/// Calls a method of the bus with one string.
///
/// # Errors
/// zbus's.
pub async fn ask(connection: &Connection, method: &str, argument: &str) -> zbus::Result<Message> {
    let path = "/org/freedesktop/DBus";
    let reply = connection.call_method(Some(BUS), path, Some(BUS), method, &argument);
    reply.await
}

fn rule(name: &str) -> String {
    format!("type='signal',sender='{BUS}',member='NameOwnerChanged',arg0='{name}'")
}

/// Has the bus tell when the client with a unique name leaves; false if it has left already.
pub async fn watch(connection: &Connection, name: &str) -> bool {
    let told = match ask(connection, "AddMatch", &rule(name)).await {
        Ok(_) => ask(connection, "NameHasOwner", name).await,
        Err(error) => Err(error),
    };
    let is_there = told.and_then(|reply| reply.body().deserialize::<bool>());
    if let Err(error) = &is_there {
        log::warn!("it is not known when {name} leaves the bus: {error}");
    }
    if !matches!(is_there, Ok(true)) {
        forget(connection, name).await;
    }
    is_there.unwrap_or(false)
}

/// The end of [`watch`], also after the client has left.
pub async fn forget(connection: &Connection, name: &str) {
    // An error means that there was no such rule.
    let _ = ask(connection, "RemoveMatch", &rule(name)).await;
}

/// What the bus tells of names (D-Bus specification, "org.freedesktop.DBus.NameLost" and
/// "NameOwnerChanged").
pub enum Told {
    /// The connection has no longer this name.
    Lost(String),
    /// The client with this unique name has left.
    Left(String),
}

/// What a message from the bus tells of names.
pub fn told(message: &Message) -> Option<Told> {
    let header = message.header();
    if header.sender()?.as_str() != BUS {
        return None;
    }
    let body = message.body();
    match header.member()?.as_str() {
        "NameLost" => Some(Told::Lost(body.deserialize::<&str>().ok()?.to_owned())),
        "NameOwnerChanged" => {
            let (name, _, owner): (&str, &str, &str) = body.deserialize().ok()?;
            owner.is_empty().then(|| Told::Left(name.to_owned()))
        }
        _ => None,
    }
}
