//! The agent, as its D-Bus interface shows it.

use std::{
    collections::{BTreeMap, HashMap},
    path::Path,
};

use smol::stream::StreamExt;
use softwarecontainer_client::{Bus, Client, NAME, ProcessStateChangedStream};
use zbus::fdo;

use crate::{
    error::Error,
    manifest::{App, Mount},
};

/// A connection to the agent.
pub struct Agent {
    client: Client,
    bus: fdo::DBusProxy<'static>,
}

/// A process of a container has ended.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ProcessEnded {
    /// Which container.
    pub container: i32,
    /// The process, as the host counts.
    pub pid: u32,
    /// The wait status, see waitpid(2).
    pub status: u32,
}

/// What happens on the bus while an app runs.
pub struct Events {
    processes: ProcessStateChangedStream,
    owners: fdo::NameOwnerChangedStream,
}

/// One event.
#[derive(Debug, PartialEq)]
pub enum Event {
    /// A process ended.
    Ended(ProcessEnded),
    /// The agent left the bus; the next one may have its containers.
    AgentGone,
}

impl Agent {
    /// Connects to the system bus or the session bus.
    pub async fn connect(session_bus: bool) -> Result<Self, Error> {
        let bus = match session_bus {
            true => Bus::Session,
            false => Bus::System,
        };
        let client = Client::connect(bus).await.map_err(Error::Connect)?;
        let bus = fdo::DBusProxy::new(client.connection());
        let bus = bus.await.map_err(Error::Bus)?;
        Ok(Self { client, bus })
    }

    /// Subscribes to what [`Events::next`] yields. To be called before the first container is
    /// created: a signal that nobody has subscribed to is lost.
    pub async fn events(&self) -> Result<Events, Error> {
        let processes = self.client.agent().receive_process_state_changed();
        let owners = self.bus.receive_name_owner_changed_with_args(&[(0, NAME)]);
        Ok(Events {
            processes: processes.await.map_err(Error::Bus)?,
            owners: owners.await.map_err(Error::Bus)?,
        })
    }

    /// IDs of all containers, those of other launchers included.
    pub async fn list(&self) -> Result<Vec<i32>, Error> {
        called("List", self.client.agent().list()).await
    }

    /// The capabilities that the agent's manifests offer.
    pub async fn list_capabilities(&self) -> Result<Vec<String>, Error> {
        called("ListCapabilities", self.client.agent().list_capabilities()).await
    }

    /// What no other agent has at any time: the bus, and the agent's unique name there.
    pub async fn instance(&self) -> Result<String, Error> {
        // The bus starts the agent for a call, if need be, and not for a question about its name.
        self.list().await?;
        let asked = |error: fdo::Error| Error::Bus(error.into());
        let name = NAME.try_into().map_err(Error::Bus)?;
        let bus = self.bus.get_id().await.map_err(asked)?;
        let owner = self.bus.get_name_owner(name).await.map_err(asked)?;
        Ok(format!("{bus}/{owner}"))
    }

    /// Creates a container for an app; returns its ID.
    pub async fn create(&self, app: &App) -> Result<i32, Error> {
        let mut options = serde_json::json!({ "writeBufferEnabled": app.write_buffer });
        for (key, user) in [("userID", app.user), ("hostUserID", app.home_owner)] {
            if let Some(user) = user {
                options[key] = user.into();
            }
        }
        let config = serde_json::json!([options]).to_string();
        called("Create", self.client.agent().create(&config)).await
    }

    /// Ends every process of a container and removes it.
    pub async fn destroy(&self, container: i32) -> Result<(), Error> {
        called("Destroy", self.client.agent().destroy(container)).await
    }

    /// Freezes every process of a container.
    pub async fn suspend(&self, container: i32) -> Result<(), Error> {
        called("Suspend", self.client.agent().suspend(container)).await
    }

    /// Lets a suspended container go on.
    pub async fn resume(&self, container: i32) -> Result<(), Error> {
        called("Resume", self.client.agent().resume(container)).await
    }

    /// Grants capabilities.
    pub async fn set_capabilities(&self, container: i32, names: &[String]) -> Result<(), Error> {
        let call = self.client.agent().set_capabilities(container, names);
        called("SetCapabilities", call).await
    }

    /// Makes a path of the host visible in a container. The agent opens it with the rights of the
    /// caller.
    pub async fn bind_mount(&self, container: i32, mount: &Mount) -> Result<(), Error> {
        let (host, inside) = (text(&mount.host), text(&mount.container));
        let call = self
            .client
            .agent()
            .bind_mount(container, &host, &inside, mount.read_only);
        called("BindMount", call).await
    }

    /// Starts a command; returns its process ID as the host counts. The agent opens `output` with
    /// the rights of the caller.
    pub async fn execute(
        &self,
        container: i32,
        command: &str,
        directory: &Path,
        output: &Path,
        environment: &BTreeMap<String, String>,
    ) -> Result<i32, Error> {
        let environment: HashMap<&str, &str> = environment
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        let (directory, output) = (text(directory), text(output));
        let call =
            self.client
                .agent()
                .execute(container, command, &directory, &output, &environment);
        called("Execute", call).await
    }
}

/// Waits for the answer to a call.
async fn called<T>(
    method: &'static str,
    call: impl Future<Output = Result<T, softwarecontainer_client::Error>>,
) -> Result<T, Error> {
    call.await.map_err(|source| Error::Call { method, source })
}

impl Events {
    /// Waits for the next event.
    pub async fn next(&mut self) -> Result<Event, Error> {
        let Self { processes, owners } = self;
        loop {
            let process = async { Some(Ok(processes.next().await?)) };
            let owner = async { Some(Err(owners.next().await?)) };
            let event = smol::future::or(process, owner).await;
            match event.ok_or(Error::AgentGone)? {
                Ok(process) => {
                    let ended = process.args().map_err(Error::Bus)?;
                    if !ended.is_running {
                        return Ok(Event::Ended(ProcessEnded {
                            container: ended.container_id,
                            pid: ended.process_id,
                            status: ended.exit_code,
                        }));
                    }
                }
                // A start of the agent (by our first call, perhaps) is no loss; anything else is.
                Err(owner) => {
                    if owner.args().map_err(Error::Bus)?.old_owner.is_some() {
                        return Ok(Event::AgentGone);
                    }
                }
            }
        }
    }
}

/// Paths come from manifests, which are JSON: they are UTF-8 already.
fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}
