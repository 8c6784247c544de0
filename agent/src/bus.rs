//! The D-Bus interface, `com.pelagicore.SoftwareContainerAgent` (agent/dbus/ holds it as XML, the contract).

// The names of arguments are part of the contract.
#![allow(non_snake_case)]

use std::{collections::HashMap, path::PathBuf, sync::Arc};

use smol::{Executor, channel::Receiver};
use zbus::{
    Connection, fdo, interface,
    object_server::{ResponseDispatchNotifier, SignalEmitter},
};

use crate::{
    agent::{Agent, AgentError},
    container::{Execution, processes::Ended},
    runtime::SmolRuntime,
};

/// The agent's name on the bus.
pub const NAME: &str = "com.pelagicore.SoftwareContainerAgent";
/// The agent's object.
pub const PATH: &str = "/com/pelagicore/SoftwareContainerAgent";
/// The address of the system bus unless the environment says otherwise (D-Bus specification, "Well-known Message Bus Instances").
const SYSTEM_BUS: &str = "unix:path=/run/dbus/system_bus_socket";

/// The object that launchers call.
struct Interface {
    agent: Arc<Agent>,
    executor: Arc<Executor<'static>>,
}

fn failed(error: AgentError) -> fdo::Error {
    log::warn!("{error}");
    fdo::Error::Failed(error.to_string())
}

#[interface(name = "com.pelagicore.SoftwareContainerAgent")]
impl Interface {
    #[zbus(out_args("containers"))]
    async fn list(&self) -> Vec<i32> {
        self.agent.list()
    }

    #[zbus(out_args("capabilities"))]
    async fn list_capabilities(&self) -> Vec<String> {
        self.agent.capabilities()
    }

    #[zbus(out_args("containerID"))]
    async fn create(&self, config: &str) -> fdo::Result<i32> {
        self.agent.create(config).await.map_err(failed)
    }

    async fn destroy(&self, containerID: i32) -> fdo::Result<()> {
        self.agent.destroy(containerID).await.map_err(failed)
    }

    async fn suspend(&self, containerID: i32) -> fdo::Result<()> {
        self.agent.suspend(containerID).await.map_err(failed)
    }

    async fn resume(&self, containerID: i32) -> fdo::Result<()> {
        self.agent.resume(containerID).await.map_err(failed)
    }

    async fn bind_mount(
        &self,
        containerID: i32,
        pathInHost: PathBuf,
        pathInContainer: PathBuf,
        readOnly: bool,
    ) -> fdo::Result<()> {
        self.agent
            .bind_mount(containerID, pathInHost, pathInContainer, readOnly)
            .await
            .map_err(failed)
    }

    async fn set_capabilities(
        &self,
        containerID: i32,
        capabilities: Vec<String>,
    ) -> fdo::Result<()> {
        self.agent
            .set_capabilities(containerID, &capabilities)
            .await
            .map_err(failed)
    }

    #[zbus(out_args("pid"))]
    async fn execute(
        &self,
        containerID: i32,
        commandLine: String,
        workingDirectory: String,
        outputFile: PathBuf,
        env: HashMap<String, String>,
    ) -> fdo::Result<ResponseDispatchNotifier<i32>> {
        let execution = Execution {
            command_line: commandLine,
            working_directory: workingDirectory,
            output_file: outputFile,
            environment: env.into_iter().collect(),
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

/// Connects to the bus, offers the agent's object there, and takes the agent's name.
///
/// # Errors
/// zbus's, when there is no bus or somebody else has the name.
pub async fn serve(
    session: bool,
    agent: Arc<Agent>,
    executor: Arc<Executor<'static>>,
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
    };
    builder
        .runtime(SmolRuntime(executor))
        .serve_at(PATH, interface)
        .name(NAME)
        .build()
        .await
}

/// Sends `ProcessStateChanged` for every process that ends.
pub async fn tell_ends(connection: Connection, ended: Receiver<Ended>) {
    let emitter = match SignalEmitter::new(&connection, PATH) {
        Ok(emitter) => emitter,
        Err(error) => {
            log::error!("no signals can be sent: {error}");
            return;
        }
    };
    while let Ok(Ended {
        container,
        pid,
        status,
    }) = ended.recv().await
    {
        let status = status.cast_unsigned();
        let sent = Interface::process_state_changed(&emitter, container, pid, false, status).await;
        if let Err(error) = sent {
            log::error!("container {container}: end of process {pid} could not be told: {error}");
        }
    }
}
