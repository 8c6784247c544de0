//! The agent, as its D-Bus interface shows it.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use smol::stream::StreamExt;
use zbus::connection::Builder;
use zbus::message::Type;
use zbus::{Connection, DynamicType, MatchRule, Message, MessageStream};

use crate::error::Error;
use crate::manifest::Mount;
use crate::runtime::Smol;

const NAME: &str = "com.pelagicore.SoftwareContainerAgent";
const PATH: &str = "/com/pelagicore/SoftwareContainerAgent";

/// A connection to the agent.
pub struct Agent {
    connection: Connection,
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
    processes: MessageStream,
    owners: MessageStream,
}

/// One event.
#[derive(Debug, PartialEq)]
pub enum Event {
    /// A process ended.
    Ended(ProcessEnded),
    /// The agent left the bus: its containers are not to be counted on.
    AgentGone,
}

impl Agent {
    /// Connects to the system bus or the session bus.
    pub async fn connect(runtime: Smol, session_bus: bool) -> Result<Self, Error> {
        let builder = if session_bus {
            Builder::session()
        } else {
            Builder::system()
        };
        let connection = builder.runtime(runtime).build().await.map_err(Error::Bus)?;
        Ok(Self { connection })
    }

    /// Subscribes to what [`Events::next`] yields. To be called before the first container is
    /// created: a signal that nobody has subscribed to is lost.
    pub async fn events(&self) -> Result<Events, Error> {
        let ended = MatchRule::builder()
            .msg_type(Type::Signal)
            .sender(NAME)
            .path(PATH)
            .interface(NAME)
            .member("ProcessStateChanged")
            .build()
            .map_err(Error::Bus)?;
        let owner = MatchRule::builder()
            .msg_type(Type::Signal)
            .sender("org.freedesktop.DBus")
            .member("NameOwnerChanged")
            .add_arg(NAME)
            .build()
            .map_err(Error::Bus)?;
        let subscribe = |rule| MessageStream::for_match_rule(rule, &self.connection, None);
        Ok(Events {
            processes: subscribe(ended).await.map_err(Error::Bus)?,
            owners: subscribe(owner).await.map_err(Error::Bus)?,
        })
    }

    /// IDs of all containers, those of other launchers included.
    pub async fn list(&self) -> Result<Vec<i32>, Error> {
        self.ask("List", &()).await
    }

    /// The capabilities that the agent's manifests offer.
    pub async fn list_capabilities(&self) -> Result<Vec<String>, Error> {
        self.ask("ListCapabilities", &()).await
    }

    /// Creates a container; returns its ID.
    pub async fn create(&self, write_buffer: bool) -> Result<i32, Error> {
        let config = serde_json::json!([{ "writeBufferEnabled": write_buffer }]).to_string();
        self.ask("Create", &(config,)).await
    }

    /// Ends every process of a container and removes it.
    pub async fn destroy(&self, container: i32) -> Result<(), Error> {
        self.call("Destroy", &(container,)).await.map(drop)
    }

    /// Freezes every process of a container.
    pub async fn suspend(&self, container: i32) -> Result<(), Error> {
        self.call("Suspend", &(container,)).await.map(drop)
    }

    /// Lets a suspended container go on.
    pub async fn resume(&self, container: i32) -> Result<(), Error> {
        self.call("Resume", &(container,)).await.map(drop)
    }

    /// Grants capabilities.
    pub async fn set_capabilities(&self, container: i32, names: &[String]) -> Result<(), Error> {
        self.call("SetCapabilities", &(container, names))
            .await
            .map(drop)
    }

    /// Makes a path of the host visible in a container. The agent opens it as root: the caller
    /// answers for the path.
    pub async fn bind_mount(&self, container: i32, mount: &Mount) -> Result<(), Error> {
        let arguments = (
            container,
            text(&mount.host),
            text(&mount.container),
            mount.read_only,
        );
        self.call("BindMount", &arguments).await.map(drop)
    }

    /// Starts a command; returns its process ID as the host counts. The agent opens `output` as
    /// root.
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
        let arguments = (
            container,
            command,
            text(directory),
            text(output),
            environment,
        );
        self.ask("Execute", &arguments).await
    }

    async fn call<B>(&self, method: &'static str, body: &B) -> Result<Message, Error>
    where
        B: zbus::export::serde::ser::Serialize + DynamicType,
    {
        self.connection
            .call_method(Some(NAME), PATH, Some(NAME), method, body)
            .await
            .map_err(|source| Error::Call { method, source })
    }

    async fn ask<B, R>(&self, method: &'static str, body: &B) -> Result<R, Error>
    where
        B: zbus::export::serde::ser::Serialize + DynamicType,
        R: for<'d> zbus::zvariant::DynamicDeserialize<'d>,
    {
        let reply = self.call(method, body).await?;
        reply
            .body()
            .deserialize()
            .map_err(|source| Error::Call { method, source })
    }
}

impl Events {
    /// Waits for the next event.
    pub async fn next(&mut self) -> Result<Event, Error> {
        let Self { processes, owners } = self;
        loop {
            let ended = async { (processes.next().await, true) };
            let owner = async { (owners.next().await, false) };
            let (message, is_process) = smol::future::or(ended, owner).await;
            let message = message.ok_or(Error::AgentGone)?.map_err(Error::Bus)?;
            let body = message.body();
            if is_process {
                let (container, pid, running, status): (i32, u32, bool, u32) =
                    body.deserialize().map_err(Error::Bus)?;
                if !running {
                    return Ok(Event::Ended(ProcessEnded {
                        container,
                        pid,
                        status,
                    }));
                }
            } else {
                let (_, old, _): (&str, &str, &str) = body.deserialize().map_err(Error::Bus)?;
                // A start of the agent (by our first call, perhaps) is no loss; anything else is.
                if !old.is_empty() {
                    return Ok(Event::AgentGone);
                }
            }
        }
    }
}

/// Paths come from manifests, which are JSON: they are UTF-8 already.
fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}
