//! The object of one container: `com.pelagicore.SoftwareContainerAgent.Container`.

use std::sync::Arc;

use zbus::{Connection, message::Header};

use super::{
    desk::Desk,
    error::ManagerError,
    name::PATH,
    properties,
    service::{Answer, Call, Reply, Service},
    values::{Values, dictionary},
};
use crate::{
    container::{facts::Facts, statistics::Statistics},
    runtime::unblock,
};

/// One container. It knows the ID only: what that stands for is looked up for each call.
pub struct ContainerObject {
    /// The container's ID.
    pub id: i32,
    /// What all interfaces share.
    pub desk: Desk,
}

/// The path of the object of container `id`.
pub fn path(id: i32) -> String {
    format!("{PATH}/containers/{id}")
}

impl ContainerObject {
    /// What is told of the container, to somebody who may see it. For all others it is not there.
    async fn facts(
        &self,
        connection: &Connection,
        header: &Header<'_>,
    ) -> Result<Arc<Facts>, ManagerError> {
        let (_call, identity) = self.desk.look(connection, header).await?;
        let caller = identity.credentials.as_ref();
        Ok(self.desk.agent.facts(self.id, caller)?)
    }

    async fn statistics(&self, call: Call<'_>) -> Result<Reply, ManagerError> {
        let facts = self.facts(call.connection, &call.header).await?;
        let statistics = unblock(move || Statistics::of(&facts)).await;
        let values = statistics.as_ref().map(properties::statistics);
        Ok(vec![dictionary(values.unwrap_or_default())].into())
    }

    async fn rules(&self, call: Call<'_>) -> Result<Reply, ManagerError> {
        let facts = self.facts(call.connection, &call.header).await?;
        Ok(vec![properties::rules(&facts.rules())].into())
    }
}

impl Service for ContainerObject {
    const NAME: &str = "com.pelagicore.SoftwareContainerAgent.Container";
    const CONTRACT: &str =
        include_str!("../../dbus/com.pelagicore.SoftwareContainerAgent.Container.xml");

    fn call<'a>(&'a self, name: &str, call: Call<'a>) -> Option<Answer<'a, Reply>> {
        match name {
            "GetRules" => Some(Box::pin(self.rules(call))),
            "GetStatistics" => Some(Box::pin(self.statistics(call))),
            _ => None,
        }
    }

    fn properties<'a>(
        &'a self,
        connection: &'a Connection,
        header: &'a Header<'a>,
    ) -> Answer<'a, Values> {
        Box::pin(async {
            let facts = self.facts(connection, header).await?;
            Ok(properties::all(&facts))
        })
    }
}
