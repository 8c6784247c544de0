//! The D-Bus interface `com.pelagicore.SoftwareContainerAgent`, which never changes.

// The names of arguments are part of the contract.
#![allow(non_snake_case)]

use std::{collections::HashMap, path::PathBuf, sync::Arc};

use smol::Executor;
use zbus::{
    Connection, fdo, interface,
    message::Header,
    object_server::{ResponseDispatchNotifier, SignalEmitter},
};

use super::{caller::Call, desk::Desk, error::text_of, objects};
use crate::{
    agent::{AgentError, Creation},
    container::{Execution, Program},
    host::credentials::Credentials,
};

/// How many characters of a program's name are logged.
const LOGGED_PROGRAM: usize = 256;

/// The object that launchers call.
pub struct Interface {
    /// What it shares with the other interfaces.
    pub desk: Desk,
    /// The agent's executor.
    pub executor: Arc<Executor<'static>>,
}

fn failed(error: AgentError) -> fdo::Error {
    fdo::Error::Failed(text_of(&error))
}

impl Interface {
    async fn begin(
        &self,
        connection: &Connection,
        header: &Header<'_>,
        what: String,
    ) -> fdo::Result<(Call, Option<Credentials>)> {
        let begun = self.desk.callers.begin(connection, header, what).await;
        let (call, identity) = begun?;
        Ok((call, identity.credentials))
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
        let (_call, identity) = self.desk.callers.know(connection, &header).await?;
        Ok(self.desk.agent.list(identity.credentials.as_ref()))
    }

    #[zbus(out_args("capabilities"))]
    async fn list_capabilities(&self) -> Vec<String> {
        self.desk.agent.capabilities()
    }

    #[zbus(out_args("containerID"))]
    async fn create(
        &self,
        config: &str,
        #[zbus(connection)] connection: &Connection,
        #[zbus(header)] header: Header<'_>,
    ) -> fdo::Result<i32> {
        let what = "Create".to_owned();
        let (_call, caller) = self.begin(connection, &header, what).await?;
        let creation = Creation {
            options: config,
            ..Creation::default()
        };
        let id = self.desk.agent.create(creation, caller.as_ref()).await;
        let id = id.map_err(failed)?;
        objects::publish(connection, &self.desk, id).await;
        Ok(id)
    }

    async fn destroy(
        &self,
        containerID: i32,
        #[zbus(connection)] connection: &Connection,
        #[zbus(header)] header: Header<'_>,
    ) -> fdo::Result<()> {
        let what = format!("Destroy {containerID}");
        let (_call, caller) = self.begin(connection, &header, what).await?;
        self.desk
            .agent
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
        let (_call, caller) = self.begin(connection, &header, what).await?;
        self.desk
            .agent
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
        let (_call, caller) = self.begin(connection, &header, what).await?;
        self.desk
            .agent
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
        let (_call, caller) = self.begin(connection, &header, what).await?;
        self.desk
            .agent
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
        let (_call, caller) = self.begin(connection, &header, what).await?;
        self.desk
            .agent
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
        let (_call, caller) = self.begin(connection, &header, what).await?;
        let execution = Execution {
            working_directory: workingDirectory,
            output_file: outputFile,
            environment: env.into_iter().collect(),
            ..Execution::of(Program::Line(commandLine), caller)
        };
        let started = self
            .desk
            .agent
            .execute(containerID, execution)
            .await
            .map_err(failed)?;
        let (reply, sent) = ResponseDispatchNotifier::new(started.pid.cast_signed());
        self.executor
            .spawn(async move {
                sent.await;
                started.announced();
            })
            .detach();
        Ok(reply)
    }

    #[zbus(signal)]
    pub async fn process_state_changed(
        emitter: &SignalEmitter<'_>,
        containerID: i32,
        processID: u32,
        isRunning: bool,
        exitCode: u32,
    ) -> zbus::Result<()>;
}
