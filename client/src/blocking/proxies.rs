//! Made by client/generate from the XML in agent/dbus; not to be changed by hand.

use std::collections::HashMap;

use zbus::{Fd, OwnedObjectPath};

use super::{Signals, wait};
use crate::{Details, Error, OwnedDetails};

/// The interface `com.pelagicore.SoftwareContainerAgent`;
/// `com.pelagicore.SoftwareContainerAgent.xml` is its contract.
#[derive(Debug, Clone)]
pub struct AgentProxy(pub(super) crate::AgentProxy<'static>);

impl AgentProxy {
    /// The IDs of all containers.
    ///
    /// # Errors
    /// [`Error`].
    pub fn list(&self) -> Result<Vec<i32>, Error> {
        wait(self.0.list())
    }

    /// The names of the capabilities that SetCapabilities takes.
    ///
    /// # Errors
    /// [`Error`].
    pub fn list_capabilities(&self) -> Result<Vec<String>, Error> {
        wait(self.0.list_capabilities())
    }

    /// Makes and starts a container; config is a JSON array of objects.
    ///
    /// # Errors
    /// [`Error`].
    pub fn create(&self, config: &str) -> Result<i32, Error> {
        wait(self.0.create(config))
    }

    /// Ends every process of a container and removes all it used.
    ///
    /// # Errors
    /// [`Error`].
    pub fn destroy(&self, container_id: i32) -> Result<(), Error> {
        wait(self.0.destroy(container_id))
    }

    /// Freezes every process of a container.
    ///
    /// # Errors
    /// [`Error`].
    pub fn suspend(&self, container_id: i32) -> Result<(), Error> {
        wait(self.0.suspend(container_id))
    }

    /// Thaws a suspended container.
    ///
    /// # Errors
    /// [`Error`].
    pub fn resume(&self, container_id: i32) -> Result<(), Error> {
        wait(self.0.resume(container_id))
    }

    /// Mounts a host path in a container.
    ///
    /// # Errors
    /// [`Error`].
    pub fn bind_mount(
        &self,
        container_id: i32,
        path_in_host: &str,
        path_in_container: &str,
        read_only: bool,
    ) -> Result<(), Error> {
        wait(
            self.0
                .bind_mount(container_id, path_in_host, path_in_container, read_only),
        )
    }

    /// Applies the default capabilities and the named ones, all or none.
    ///
    /// # Errors
    /// [`Error`].
    pub fn set_capabilities(
        &self,
        container_id: i32,
        capabilities: &[String],
    ) -> Result<(), Error> {
        wait(self.0.set_capabilities(container_id, capabilities))
    }

    /// Starts a process; its ID as the host sees it.
    ///
    /// # Errors
    /// [`Error`].
    pub fn execute(
        &self,
        container_id: i32,
        command_line: &str,
        working_directory: &str,
        output_file: &str,
        env: &HashMap<&str, &str>,
    ) -> Result<i32, Error> {
        wait(self.0.execute(
            container_id,
            command_line,
            working_directory,
            output_file,
            env,
        ))
    }

    /// A process started by Execute has ended; exitCode is its wait status (waitpid(2)).
    ///
    /// # Errors
    /// [`Error`].
    pub fn receive_process_state_changed(
        &self,
    ) -> Result<Signals<crate::ProcessStateChangedStream>, Error> {
        Ok(Signals(wait(self.0.receive_process_state_changed())?))
    }
}

/// The interface `com.pelagicore.SoftwareContainerAgent.Manager`;
/// `com.pelagicore.SoftwareContainerAgent.Manager.xml` is its contract.
#[derive(Debug, Clone)]
pub struct ManagerProxy(pub(super) crate::ManagerProxy<'static>);

impl ManagerProxy {
    /// Have the signals of this interface, and of the containers that you may see, sent to
    /// you. Reading a container's properties or GetManagedObjects do the same. It ends with
    /// your connection to the bus.
    ///
    /// # Errors
    /// [`Error`].
    pub fn subscribe(&self) -> Result<(), Error> {
        wait(self.0.subscribe())
    }

    /// No more signals.
    ///
    /// # Errors
    /// [`Error`].
    pub fn unsubscribe(&self) -> Result<(), Error> {
        wait(self.0.unsubscribe())
    }

    /// Returns when containers can be created; fails if they never can.
    ///
    /// # Errors
    /// [`Error`].
    pub fn wait_ready(&self) -> Result<(), Error> {
        wait(self.0.wait_ready())
    }

    /// What is right and wrong with the host and the configuration: what it is about, "ok",
    /// "warning" or "error", and what to do.
    ///
    /// # Errors
    /// [`Error`].
    pub fn diagnose(&self) -> Result<Vec<(String, String, String)>, Error> {
        wait(self.0.diagnose())
    }

    /// What capabilities ask of gateways: capability, manifest, gateway, one element of its
    /// configuration (JSON). The named ones, or all, default capabilities included, if there
    /// is no name.
    ///
    /// # Errors
    /// [`Error`].
    pub fn describe_capabilities(
        &self,
        names: &[String],
    ) -> Result<Vec<(String, String, String, String)>, Error> {
        wait(self.0.describe_capabilities(names))
    }

    /// Create, for an app: config as of Create; options "label" s, "environment" a{ss},
    /// "bound" b: it goes with your connection to the bus.
    ///
    /// # Errors
    /// [`Error`].
    pub fn create_named(
        &self,
        config: &str,
        app_id: &str,
        options: Details<'_>,
    ) -> Result<(i32, OwnedObjectPath), Error> {
        wait(self.0.create_named(config, app_id, options))
    }

    /// Starts a process. descriptors: its standard streams (0, 1, 2); what is not given is
    /// /dev/null. options: "directory" s, "environment" a{ss}, "user" u, "limits" a{st},
    /// "terminal" (qq): columns and rows of a terminal of its own instead of descriptors;
    /// details then has its near end, "terminal" h.
    ///
    /// # Errors
    /// [`Error`].
    pub fn execute_with_fds(
        &self,
        container_id: i32,
        command: &[String],
        descriptors: HashMap<u32, Fd<'_>>,
        options: Details<'_>,
    ) -> Result<(u32, OwnedDetails), Error> {
        wait(
            self.0
                .execute_with_fds(container_id, command, descriptors, options),
        )
    }

    /// Sends a signal (signal(7)) to a process that Execute or ExecuteWithFds has started.
    ///
    /// # Errors
    /// [`Error`].
    pub fn signal(&self, container_id: i32, process_id: u32, signal: i32) -> Result<(), Error> {
        wait(self.0.signal(container_id, process_id, signal))
    }

    /// Takes the memory of a suspended container, for others to use; how many bytes that was.
    /// It comes back when its apps use it.
    ///
    /// # Errors
    /// [`Error`].
    pub fn reclaim(&self, container_id: i32) -> Result<u64, Error> {
        wait(self.0.reclaim(container_id))
    }

    /// The version of the agent.
    ///
    /// # Errors
    /// [`Error`].
    pub fn version(&self) -> Result<String, Error> {
        Ok(wait(self.0.version())?)
    }

    /// A process was started.
    ///
    /// # Errors
    /// [`Error`].
    pub fn receive_process_started(&self) -> Result<Signals<crate::ProcessStartedStream>, Error> {
        Ok(Signals(wait(self.0.receive_process_started())?))
    }

    /// A process that was started has ended; exitCode is its wait status (waitpid(2)).
    /// details: "reason" s (exit, signal, out-of-memory, system-call), "core" b, "system-
    /// calls" as (those that were refused to it), "tasks-refused" b, "advice" s.
    ///
    /// # Errors
    /// [`Error`].
    pub fn receive_process_ended(&self) -> Result<Signals<crate::ProcessEndedStream>, Error> {
        Ok(Signals(wait(self.0.receive_process_ended())?))
    }

    /// An app wanted something that it did not get: the gateway that could allow it, what,
    /// how often by now. Sent the first, second, fourth, eighth time and so on.
    ///
    /// # Errors
    /// [`Error`].
    pub fn receive_access_refused(&self) -> Result<Signals<crate::AccessRefusedStream>, Error> {
        Ok(Signals(wait(self.0.receive_access_refused())?))
    }

    /// A container is in another state, and why.
    ///
    /// # Errors
    /// [`Error`].
    pub fn receive_container_state_changed(
        &self,
    ) -> Result<Signals<crate::ContainerStateChangedStream>, Error> {
        Ok(Signals(wait(self.0.receive_container_state_changed())?))
    }

    /// The kernel has killed processes of a container because memory was short.
    ///
    /// # Errors
    /// [`Error`].
    pub fn receive_out_of_memory(&self) -> Result<Signals<crate::OutOfMemoryStream>, Error> {
        Ok(Signals(wait(self.0.receive_out_of_memory())?))
    }
}

/// The interface `com.pelagicore.SoftwareContainerAgent.Container`;
/// `com.pelagicore.SoftwareContainerAgent.Container.xml` is its contract.
#[derive(Debug, Clone)]
pub struct ContainerProxy(pub(super) crate::ContainerProxy<'static>);

impl ContainerProxy {
    /// What it uses now; keys and units: "See inside" in the book.
    ///
    /// # Errors
    /// [`Error`].
    pub fn get_statistics(&self) -> Result<OwnedDetails, Error> {
        wait(self.0.get_statistics())
    }

    /// What was asked of gateways: capability, manifest, gateway, one element of its
    /// configuration (JSON).
    ///
    /// # Errors
    /// [`Error`].
    pub fn get_rules(&self) -> Result<Vec<(String, String, String, String)>, Error> {
        wait(self.0.get_rules())
    }

    /// `ID`.
    ///
    /// # Errors
    /// [`Error`].
    pub fn id(&self) -> Result<i32, Error> {
        Ok(wait(self.0.id())?)
    }

    /// As given to CreateNamed; empty for Create.
    ///
    /// # Errors
    /// [`Error`].
    pub fn app_id(&self) -> Result<String, Error> {
        Ok(wait(self.0.app_id())?)
    }

    /// `Label`.
    ///
    /// # Errors
    /// [`Error`].
    pub fn label(&self) -> Result<String, Error> {
        Ok(wait(self.0.label())?)
    }

    /// The user who created it.
    ///
    /// # Errors
    /// [`Error`].
    pub fn creator(&self) -> Result<u32, Error> {
        Ok(wait(self.0.creator())?)
    }

    /// The connection to the bus with which it goes; empty if it stays.
    ///
    /// # Errors
    /// [`Error`].
    pub fn bound_to(&self) -> Result<String, Error> {
        Ok(wait(self.0.bound_to())?)
    }

    /// The options of Create: JSON.
    ///
    /// # Errors
    /// [`Error`].
    pub fn options(&self) -> Result<String, Error> {
        Ok(wait(self.0.options())?)
    }

    /// When it was created, in microseconds since 1970.
    ///
    /// # Errors
    /// [`Error`].
    pub fn since(&self) -> Result<u64, Error> {
        Ok(wait(self.0.since())?)
    }

    /// The process ID of its init on the host.
    ///
    /// # Errors
    /// [`Error`].
    pub fn init(&self) -> Result<u32, Error> {
        Ok(wait(self.0.init())?)
    }

    /// The user of the container that its apps are.
    ///
    /// # Errors
    /// [`Error`].
    pub fn user(&self) -> Result<u32, Error> {
        Ok(wait(self.0.user())?)
    }

    /// `Addresses`.
    ///
    /// # Errors
    /// [`Error`].
    pub fn addresses(&self) -> Result<Vec<String>, Error> {
        Ok(wait(self.0.addresses())?)
    }

    /// ready, suspended, ended, invalid, destroying or destroyed.
    ///
    /// # Errors
    /// [`Error`].
    pub fn state(&self) -> Result<String, Error> {
        Ok(wait(self.0.state())?)
    }

    /// Why: call, failure, by-itself, out-of-memory, processes-ended, creator-left or agent-
    /// stops.
    ///
    /// # Errors
    /// [`Error`].
    pub fn state_reason(&self) -> Result<String, Error> {
        Ok(wait(self.0.state_reason())?)
    }

    /// The capabilities that were set, the default ones included.
    ///
    /// # Errors
    /// [`Error`].
    pub fn capabilities(&self) -> Result<Vec<String>, Error> {
        Ok(wait(self.0.capabilities())?)
    }

    /// What launchers have mounted: path on the host, path in the container, read-only.
    ///
    /// # Errors
    /// [`Error`].
    pub fn mounts(&self) -> Result<Vec<(String, String, bool)>, Error> {
        Ok(wait(self.0.mounts())?)
    }

    /// What launchers have started: process ID on the host, command line, start in
    /// microseconds since 1970.
    ///
    /// # Errors
    /// [`Error`].
    pub fn processes(&self) -> Result<Vec<(u32, String, u64)>, Error> {
        Ok(wait(self.0.processes())?)
    }

    /// The hosts that its rules for the network name: the name, whether it waits for an
    /// answer, its addresses with the seconds since each was last answered, the seconds until
    /// it is looked up anew.
    ///
    /// # Errors
    /// [`Error`].
    pub fn names(&self) -> Result<Vec<crate::NamedHost>, Error> {
        Ok(wait(self.0.names())?)
    }

    /// What apps wanted and did not get, the last one first: gateway that could allow it,
    /// what, how often, when last (microseconds since 1970).
    ///
    /// # Errors
    /// [`Error`].
    pub fn refused(&self) -> Result<Vec<(String, String, u64, u64)>, Error> {
        Ok(wait(self.0.refused())?)
    }

    /// The last processes that have ended, the latest at the end: process ID, command line,
    /// and details as of ProcessEnded with "status" u (the wait status) and "time" t
    /// (microseconds since 1970).
    ///
    /// # Errors
    /// [`Error`].
    pub fn ended(&self) -> Result<Vec<(u32, String, OwnedDetails)>, Error> {
        Ok(wait(self.0.ended())?)
    }

    /// What is in /gateways.
    ///
    /// # Errors
    /// [`Error`].
    pub fn sockets(&self) -> Result<Vec<String>, Error> {
        Ok(wait(self.0.sockets())?)
    }
}
