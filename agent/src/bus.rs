//! The D-Bus interface, `com.pelagicore.SoftwareContainerAgent` (agent/dbus/ holds it as XML, the
//! contract).

// The names of arguments are part of the contract.
#![allow(non_snake_case)]

mod caller;
mod name;

use std::{collections::HashMap, path::PathBuf, sync::Arc};

use smol::{Executor, channel::Receiver};
use zbus::{
    Connection, fdo, interface,
    message::Header,
    object_server::{ResponseDispatchNotifier, SignalEmitter},
};

use caller::{Call, Callers, Identity};
pub use name::NAME;

use crate::{
    agent::{Agent, AgentError},
    container::{
        Execution,
        processes::{Ended, Report},
    },
    error_chain::Chain,
    runtime::{SmolRuntime, unblock},
};

/// The agent's object.
pub const PATH: &str = "/com/pelagicore/SoftwareContainerAgent";
/// How many characters of a program's name are logged.
const LOGGED_PROGRAM: usize = 256;
/// The address of the system bus unless the environment says otherwise (D-Bus specification,
/// "Well-known Message Bus Instances").
const SYSTEM_BUS: &str = "unix:path=/run/dbus/system_bus_socket";

/// The object that launchers call.
struct Interface {
    agent: Arc<Agent>,
    executor: Arc<Executor<'static>>,
    callers: Callers,
}

fn failed(error: AgentError) -> fdo::Error {
    let text = Chain(&error).to_string();
    log::warn!("{text}");
    fdo::Error::Failed(text)
}

impl Interface {
    /// Counts the call, and logs who makes it.
    async fn begin(
        &self,
        connection: &Connection,
        header: &Header<'_>,
        what: String,
    ) -> fdo::Result<(Call, Identity)> {
        let call = self.callers.admit(header)?;
        let identity = self.callers.identify(&call, connection, header).await;
        log::info!("{what} by {identity}");
        Ok((call, identity))
    }
}

#[interface(name = "com.pelagicore.SoftwareContainerAgent")]
impl Interface {
    #[zbus(out_args("containers"))]
    async fn list(
        &self,
        #[zbus(connection)] connection: &Connection,
        #[zbus(header)] header: Header<'_>,
    ) -> fdo::Result<Vec<i32>> {
        let call = self.callers.admit(&header)?;
        let identity = self.callers.identify(&call, connection, &header).await;
        Ok(self.agent.list(identity.credentials.as_ref()))
    }

    #[zbus(out_args("capabilities"))]
    async fn list_capabilities(&self) -> Vec<String> {
        self.agent.capabilities()
    }

    #[zbus(out_args("containerID"))]
    async fn create(
        &self,
        config: &str,
        #[zbus(connection)] connection: &Connection,
        #[zbus(header)] header: Header<'_>,
    ) -> fdo::Result<i32> {
        let what = "Create".to_owned();
        let (
            _call,
            Identity {
                credentials: caller,
                ..
            },
        ) = self.begin(connection, &header, what).await?;
        self.agent
            .create(config, caller.as_ref())
            .await
            .map_err(failed)
    }

    async fn destroy(
        &self,
        containerID: i32,
        #[zbus(connection)] connection: &Connection,
        #[zbus(header)] header: Header<'_>,
    ) -> fdo::Result<()> {
        let what = format!("Destroy {containerID}");
        let (
            _call,
            Identity {
                credentials: caller,
                ..
            },
        ) = self.begin(connection, &header, what).await?;
        self.agent
            .destroy(containerID, caller.as_ref())
            .await
            .map_err(failed)
    }

    async fn suspend(
        &self,
        containerID: i32,
        #[zbus(connection)] connection: &Connection,
        #[zbus(header)] header: Header<'_>,
    ) -> fdo::Result<()> {
        let what = format!("Suspend {containerID}");
        let (
            _call,
            Identity {
                credentials: caller,
                ..
            },
        ) = self.begin(connection, &header, what).await?;
        self.agent
            .suspend(containerID, caller.as_ref())
            .await
            .map_err(failed)
    }

    async fn resume(
        &self,
        containerID: i32,
        #[zbus(connection)] connection: &Connection,
        #[zbus(header)] header: Header<'_>,
    ) -> fdo::Result<()> {
        let what = format!("Resume {containerID}");
        let (
            _call,
            Identity {
                credentials: caller,
                ..
            },
        ) = self.begin(connection, &header, what).await?;
        self.agent
            .resume(containerID, caller.as_ref())
            .await
            .map_err(failed)
    }

    // One argument more than clippy likes; the interface is given.
    #[allow(clippy::too_many_arguments)]
    async fn bind_mount(
        &self,
        containerID: i32,
        pathInHost: PathBuf,
        pathInContainer: PathBuf,
        readOnly: bool,
        #[zbus(connection)] connection: &Connection,
        #[zbus(header)] header: Header<'_>,
    ) -> fdo::Result<()> {
        let what = format!("BindMount {containerID} {pathInHost:?} on {pathInContainer:?}");
        let (
            _call,
            Identity {
                credentials: caller,
                ..
            },
        ) = self.begin(connection, &header, what).await?;
        self.agent
            .bind_mount(
                containerID,
                caller.as_ref(),
                pathInHost,
                pathInContainer,
                readOnly,
            )
            .await
            .map_err(failed)
    }

    async fn set_capabilities(
        &self,
        containerID: i32,
        capabilities: Vec<String>,
        #[zbus(connection)] connection: &Connection,
        #[zbus(header)] header: Header<'_>,
    ) -> fdo::Result<()> {
        let what = format!("SetCapabilities {containerID} {capabilities:?}");
        let (
            _call,
            Identity {
                credentials: caller,
                ..
            },
        ) = self.begin(connection, &header, what).await?;
        self.agent
            .set_capabilities(containerID, caller.as_ref(), &capabilities)
            .await
            .map_err(failed)
    }

    // As above.
    #[allow(clippy::too_many_arguments)]
    #[zbus(out_args("pid"))]
    async fn execute(
        &self,
        containerID: i32,
        commandLine: String,
        workingDirectory: String,
        outputFile: PathBuf,
        env: HashMap<String, String>,
        #[zbus(connection)] connection: &Connection,
        #[zbus(header)] header: Header<'_>,
    ) -> fdo::Result<ResponseDispatchNotifier<i32>> {
        // Variables may be secrets, and so may a command line's end.
        let program = commandLine.split_whitespace().next().unwrap_or_default();
        let program: String = program.chars().take(LOGGED_PROGRAM).collect();
        let what = format!("Execute {containerID} {program:?} to {outputFile:?}");
        let (_call, identity) = self.begin(connection, &header, what).await?;
        let execution = Execution {
            command_line: commandLine,
            working_directory: workingDirectory,
            output_file: outputFile,
            environment: env.into_iter().collect(),
            caller: identity.credentials,
        };
        let started = self
            .agent
            .execute(containerID, execution)
            .await
            .map_err(failed)?;
        let (reply, sent) = ResponseDispatchNotifier::new(started.pid);
        self.executor
            .spawn(async move {
                sent.await;
                started.announced();
            })
            .detach();
        Ok(reply)
    }

    #[zbus(signal)]
    async fn process_state_changed(
        emitter: &SignalEmitter<'_>,
        containerID: i32,
        processID: u32,
        isRunning: bool,
        exitCode: u32,
    ) -> zbus::Result<()>;
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
) -> zbus::Result<Connection> {
    let builder = if session {
        zbus::connection::Builder::session()
    } else {
        let address = std::env::var("DBUS_SYSTEM_BUS_ADDRESS");
        zbus::connection::Builder::address(address.as_deref().unwrap_or(SYSTEM_BUS))
    };
    let interface = Interface {
        agent,
        executor: executor.clone(),
        callers: Callers::new(pending_calls),
    };
    let connection = builder
        .runtime(SmolRuntime(executor))
        .serve_at(PATH, interface)
        .build()
        .await?;
    name::take(&connection).await?;
    Ok(connection)
}

/// Sends `ProcessStateChanged` for every process that ends, and tells the agent, until no more ends
/// are reported.
pub async fn tell_ends(
    connection: Connection,
    reports: Receiver<Report>,
    agent: Arc<Agent>,
    executor: Arc<Executor<'static>>,
) {
    let emitter = match SignalEmitter::new(&connection, PATH) {
        Ok(emitter) => emitter,
        Err(error) => {
            log::error!("no signals can be sent: {error}");
            return;
        }
    };
    while let Ok(report) = reports.recv().await {
        let Ended {
            container,
            pid,
            status,
        } = report.ended;
        let status = status.cast_unsigned();
        let sent = Interface::process_state_changed(&emitter, container, pid, false, status).await;
        match sent {
            Ok(()) => unblock(move || report.told()).await,
            // The next agent tells it.
            Err(error) => log::error!(
                "container {container}: end of process {pid} could not be told: {error}"
            ),
        }
        let agent = agent.clone();
        // It may destroy the container, which other ends do not wait for.
        let work = async move { agent.process_ended(container).await };
        executor.spawn(work).detach();
    }
}
