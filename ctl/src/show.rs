//! What is told of containers.

use softwarecontainer_client::Client;
use zbus::{fdo::PropertiesProxy, names::InterfaceName};

use crate::{
    error::Error,
    json,
    output::{harmless, table},
    units::age,
};

const CONTAINER: &str = "com.pelagicore.SoftwareContainerAgent.Container";

/// All containers, one a row.
pub async fn list(client: &Client) -> Result<String, Error> {
    let mut rows = Vec::new();
    for id in client.containers().await? {
        let container = client.container(id).await?;
        // One that is gone meanwhile is not there.
        let Ok(state) = container.state().await else {
            continue;
        };
        let of = |text: Result<String, zbus::Error>| harmless(&text.unwrap_or_default());
        rows.push(vec![
            id.to_string(),
            state,
            of(container.app_id().await),
            of(container.label().await),
            container.creator().await.unwrap_or_default().to_string(),
            container
                .processes()
                .await
                .map_or(0, |it| it.len())
                .to_string(),
            age(container.since().await.unwrap_or_default()),
        ]);
    }
    let head = ["ID", "STATE", "APP", "LABEL", "CREATOR", "PROCESSES", "AGE"];
    Ok(table(&head, &rows))
}

/// The processes that launchers have started in a container.
pub async fn processes(client: &Client, id: i32) -> Result<String, Error> {
    let container = client.container(id).await?;
    let all = container.processes().await;
    let all = all.map_err(|error| about(id, error))?;
    let rows = all
        .iter()
        .map(|(pid, command, since)| vec![pid.to_string(), age(*since), harmless(command)]);
    Ok(table(
        &["PROCESS", "AGE", "COMMAND"],
        &rows.collect::<Vec<_>>(),
    ))
}

/// All that is known of a container, as JSON.
pub async fn inspect(client: &Client, id: i32) -> Result<String, Error> {
    let bus = |error| about(id, error);
    let container = client.container(id).await?;
    let inner = container.inner();
    let properties = PropertiesProxy::builder(client.connection())
        .destination(inner.destination().to_owned())
        .path(inner.path().to_owned())
        .build();
    let properties = properties.await.map_err(bus)?;
    let interface = InterfaceName::from_static_str_unchecked(CONTAINER);
    let all = properties.get_all(interface).await;
    let all = all.map_err(|error| bus(error.into()))?;
    let mut shown = json::object(&all);
    let statistics = container.get_statistics().await?;
    if let Some(object) = shown.as_object_mut() {
        object.insert("Statistics".to_owned(), json::object(&statistics));
    }
    Ok(format!("{shown:#}\n"))
}

/// An object that is not there is a container that is not there.
pub fn about(id: i32, error: zbus::Error) -> Error {
    match error.into() {
        softwarecontainer_client::Error::NoSuchContainer(_) => Error::NoContainer(id),
        other => other.into(),
    }
}
