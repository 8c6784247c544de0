//! The agent on D-Bus. agent/dbus/ holds its interfaces as XML, the contract: the frozen one of
//! SoftwareContainer 0.19, and beside it what shows containers from inside.

mod bound;
mod caller;
mod desk;
mod ends;
mod error;
mod events;
mod frozen;
mod manager;
mod name;
mod object;
mod objects;
mod options;
mod peers;
mod processes;
mod properties;
mod service;
mod values;
mod watchers;

use std::sync::Arc;

use smol::{Executor, channel::Receiver, stream::StreamExt as _};
use zbus::{Connection, MessageStream, connection::Builder};

use bound::Bound;
use caller::Callers;
use desk::Desk;
use frozen::Interface;
use manager::Manager;
pub use name::{NAME, PATH};
use objects::ObjectManager;
use peers::Told;
use service::Served;
use watchers::Watchers;

use crate::{
    agent::Agent,
    container::{facts::Event, processes::Report},
    runtime::SmolRuntime,
};

/// The address of the system bus unless the environment says otherwise (D-Bus specification,
/// "Well-known Message Bus Instances").
const SYSTEM_BUS: &str = "unix:path=/run/dbus/system_bus_socket";

/// The agent's place on the bus.
pub struct OnBus {
    connection: Connection,
    desk: Desk,
    executor: Arc<Executor<'static>>,
}

/// Connects to the bus, offers the agent's object there, and takes the agent's name. A client may
/// have `pending_calls` calls under way.
///
/// # Errors
/// zbus's, when there is no bus or somebody else has the name.
pub async fn serve(
    session: bool,
    agent: Arc<Agent>,
    executor: Arc<Executor<'static>>,
    pending_calls: u32,
) -> zbus::Result<OnBus> {
    let desk = Desk {
        watchers: Arc::new(Watchers::new(agent.clone())),
        callers: Arc::new(Callers::new(pending_calls, agent.clone())),
        bound: Arc::new(Bound::new(agent.clone(), executor.clone())),
        agent,
    };
    let interface = Interface {
        desk: desk.clone(),
        executor: executor.clone(),
    };
    let connection = builder(session)
        .runtime(SmolRuntime(executor.clone()))
        .serve_at(PATH, interface)
        .serve_at(PATH, Served(Manager(desk.clone())))
        .serve_at(PATH, Served(ObjectManager(desk.clone())))
        .build()
        .await?;
    name::take(&connection).await?;
    Ok(OnBus {
        connection,
        desk,
        executor,
    })
}

/// The system or the session bus.
fn builder(session: bool) -> Builder<'static> {
    if session {
        return Builder::session();
    }
    let address = std::env::var("DBUS_SYSTEM_BUS_ADDRESS");
    Builder::address(address.as_deref().unwrap_or(SYSTEM_BUS))
}

/// Connects to the bus as a client.
///
/// # Errors
/// zbus's.
pub async fn connect(session: bool, executor: Arc<Executor<'static>>) -> zbus::Result<Connection> {
    builder(session)
        .runtime(SmolRuntime(executor))
        .build()
        .await
}

/// The unique name of the agent that is on the bus.
pub async fn owner(connection: &Connection) -> Option<String> {
    let reply = peers::ask(connection, "GetNameOwner", NAME).await;
    reply.and_then(|reply| reply.body().deserialize()).ok()
}

/// The process that has this name.
pub async fn process_of(connection: &Connection, name: &str) -> Option<u32> {
    caller::ask(connection, name).await.process
}

impl OnBus {
    /// The connection to the bus.
    pub fn connection(&self) -> &Connection {
        &self.connection
    }

    /// Returns when the connection is closed or the bus has taken the name away. Until then, it
    /// hears who leaves the bus.
    pub async fn lost(&self) {
        let mut messages = MessageStream::from(&self.connection);
        while let Some(Ok(message)) = messages.next().await {
            match peers::told(&message) {
                Some(Told::Lost(name)) if name == NAME => return,
                Some(Told::Left(name)) => self.left(name),
                _ => {}
            }
        }
    }

    fn left(&self, name: String) {
        let known = [self.desk.watchers.left(&name), self.desk.bound.left(&name)];
        // Not here: the reply would not be read before this returns.
        let connection = self.connection.clone();
        let forget = async move {
            for _ in known.into_iter().filter(|it| *it) {
                peers::forget(&connection, &name).await;
            }
        };
        self.executor.spawn(forget).detach();
    }

    /// Tells everybody which processes have ended, until no more ends are reported.
    pub fn tell_ends(
        &self,
        reports: Receiver<Report>,
    ) -> impl Future<Output = ()> + Send + 'static {
        let (connection, agent) = (self.connection.clone(), self.desk.agent.clone());
        ends::tell_ends(connection, reports, agent, self.executor.clone())
    }

    /// Tells who watches what happens to containers.
    pub fn tell(&self, events: Receiver<Event>) -> impl Future<Output = ()> + Send + 'static {
        events::tell(self.connection.clone(), self.desk.clone(), events)
    }
}
