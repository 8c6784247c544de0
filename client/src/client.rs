//! A connection to the agent.

use zbus::{Connection, connection::Builder, proxy::CacheProperties};

use crate::{AgentProxy, ContainerProxy, Error, ManagerProxy};

/// The agent's name on the bus.
pub const NAME: &str = "com.pelagicore.SoftwareContainerAgent";
/// The agent's object.
pub const PATH: &str = "/com/pelagicore/SoftwareContainerAgent";

/// Where the agent is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bus {
    /// On the system bus, as a rule.
    System,
    /// On the session bus (`use-session-bus`).
    Session,
}

/// A connection to the agent. Its clones share it.
#[derive(Debug, Clone)]
pub struct Client {
    agent: AgentProxy<'static>,
    manager: ManagerProxy<'static>,
}

impl Client {
    /// Connects to a bus. The agent is started by the first call, where the bus can do that.
    ///
    /// # Errors
    /// There is no bus, or it does not let this user in.
    pub async fn connect(bus: Bus) -> Result<Self, Error> {
        let builder = match bus {
            Bus::System => Builder::system(),
            Bus::Session => Builder::session(),
        };
        Self::over(&builder.build().await?).await
    }

    /// Uses a connection that is there.
    ///
    /// # Errors
    /// The connection is closed.
    pub async fn over(connection: &Connection) -> Result<Self, Error> {
        // What is asked for once is not kept: that would have the agent tell each change.
        let uncached = CacheProperties::No;
        let agent = AgentProxy::builder(connection).cache_properties(uncached);
        let manager = ManagerProxy::builder(connection).cache_properties(uncached);
        Ok(Self {
            agent: agent.build().await?,
            manager: manager.build().await?,
        })
    }

    /// The connection.
    pub fn connection(&self) -> &Connection {
        self.agent.inner().connection()
    }

    /// The frozen interface.
    pub fn agent(&self) -> &AgentProxy<'static> {
        &self.agent
    }

    /// The interface beside it.
    pub fn manager(&self) -> &ManagerProxy<'static> {
        &self.manager
    }

    /// The object of a container. That it is there is found out by the first call.
    ///
    /// # Errors
    /// The connection is closed.
    pub async fn container(&self, id: i32) -> Result<ContainerProxy<'static>, Error> {
        let container = ContainerProxy::builder(self.connection())
            .path(format!("{PATH}/containers/{id}"))
            .cache_properties(CacheProperties::No);
        Ok(container.build().await?)
    }

    /// The IDs of the containers that this user may see, in their order.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn containers(&self) -> Result<Vec<i32>, Error> {
        let mut all = self.agent.list().await?;
        all.sort_unstable();
        Ok(all)
    }
}
