//! Made by client/generate from the XML in agent/dbus; not to be changed by hand.

use std::collections::HashMap;

use zbus::{Fd, OwnedObjectPath, proxy};

use crate::{Details, Error, OwnedDetails};

/// The interface `com.pelagicore.SoftwareContainerAgent`;
/// `com.pelagicore.SoftwareContainerAgent.xml` is its contract.
#[proxy(
    interface = "com.pelagicore.SoftwareContainerAgent",
    default_service = "com.pelagicore.SoftwareContainerAgent",
    default_path = "/com/pelagicore/SoftwareContainerAgent"
)]
pub trait Agent {
    /// The IDs of all containers.
    fn list(&self) -> Result<Vec<i32>, Error>;
    /// The names of the capabilities that SetCapabilities takes.
    fn list_capabilities(&self) -> Result<Vec<String>, Error>;
    /// Makes and starts a container; config is a JSON array of objects.
    fn create(&self, config: &str) -> Result<i32, Error>;
    /// Ends every process of a container and removes all it used.
    fn destroy(&self, container_id: i32) -> Result<(), Error>;
    /// Freezes every process of a container.
    fn suspend(&self, container_id: i32) -> Result<(), Error>;
    /// Thaws a suspended container.
    fn resume(&self, container_id: i32) -> Result<(), Error>;
    /// Mounts a host path in a container.
    fn bind_mount(
        &self,
        container_id: i32,
        path_in_host: &str,
        path_in_container: &str,
        read_only: bool,
    ) -> Result<(), Error>;
    /// Applies the default capabilities and the named ones, all or none.
    fn set_capabilities(&self, container_id: i32, capabilities: &[String]) -> Result<(), Error>;
    /// Starts a process; its ID as the host sees it.
    fn execute(
        &self,
        container_id: i32,
        command_line: &str,
        working_directory: &str,
        output_file: &str,
        env: &HashMap<&str, &str>,
    ) -> Result<i32, Error>;
    /// A process started by Execute has ended; exitCode is its wait status (waitpid(2)).
    #[zbus(signal)]
    fn process_state_changed(
        &self,
        container_id: i32,
        process_id: u32,
        is_running: bool,
        exit_code: u32,
    ) -> zbus::Result<()>;
}

/// The interface `com.pelagicore.SoftwareContainerAgent.Manager`;
/// `com.pelagicore.SoftwareContainerAgent.Manager.xml` is its contract.
#[proxy(
    interface = "com.pelagicore.SoftwareContainerAgent.Manager",
    default_service = "com.pelagicore.SoftwareContainerAgent",
    default_path = "/com/pelagicore/SoftwareContainerAgent"
)]
pub trait Manager {
    /// Have the signals of this interface, and of the containers that you may see, sent to
    /// you. Reading a container's properties or GetManagedObjects do the same. It ends with
    /// your connection to the bus.
    fn subscribe(&self) -> Result<(), Error>;
    /// No more signals.
    fn unsubscribe(&self) -> Result<(), Error>;
    /// Returns when containers can be created; fails if they never can.
    fn wait_ready(&self) -> Result<(), Error>;
    /// What is right and wrong with the host and the configuration: what it is about, "ok",
    /// "warning" or "error", and what to do.
    fn diagnose(&self) -> Result<Vec<(String, String, String)>, Error>;
    /// What capabilities ask of gateways: capability, manifest, gateway, one element of its
    /// configuration (JSON). The named ones, or all, default capabilities included, if there
    /// is no name.
    fn describe_capabilities(
        &self,
        names: &[String],
    ) -> Result<Vec<(String, String, String, String)>, Error>;
    /// Create, for an app: config as of Create; options "label" s, "environment" a{ss},
    /// "bound" b: it goes with your connection to the bus.
    fn create_named(
        &self,
        config: &str,
        app_id: &str,
        options: Details<'_>,
    ) -> Result<(i32, OwnedObjectPath), Error>;
    /// Starts a process. descriptors: its standard streams (0, 1, 2); what is not given is
    /// /dev/null. options: "directory" s, "environment" a{ss}, "user" u, "limits" a{st},
    /// "terminal" (qq): columns and rows of a terminal of its own instead of descriptors;
    /// details then has its near end, "terminal" h.
    fn execute_with_fds(
        &self,
        container_id: i32,
        command: &[String],
        descriptors: HashMap<u32, Fd<'_>>,
        options: Details<'_>,
    ) -> Result<(u32, OwnedDetails), Error>;
    /// Sends a signal (signal(7)) to a process that Execute or ExecuteWithFds has started.
    fn signal(&self, container_id: i32, process_id: u32, signal: i32) -> Result<(), Error>;
    /// Takes the memory of a suspended container, for others to use; how many bytes that was.
    /// It comes back when its apps use it.
    fn reclaim(&self, container_id: i32) -> Result<u64, Error>;
    /// The version of the agent.
    #[zbus(property(emits_changed_signal = "const"))]
    fn version(&self) -> zbus::Result<String>;
    /// A process was started.
    #[zbus(signal)]
    fn process_started(
        &self,
        container_id: i32,
        process_id: u32,
        command: String,
    ) -> zbus::Result<()>;
    /// A process that was started has ended; exitCode is its wait status (waitpid(2)).
    /// details: "reason" s (exit, signal, out-of-memory, system-call), "core" b, "system-
    /// calls" as (those that were refused to it), "tasks-refused" b, "advice" s.
    #[zbus(signal)]
    fn process_ended(
        &self,
        container_id: i32,
        process_id: u32,
        exit_code: u32,
        details: OwnedDetails,
    ) -> zbus::Result<()>;
    /// An app wanted something that it did not get: the gateway that could allow it, what,
    /// how often by now. Sent the first, second, fourth, eighth time and so on.
    #[zbus(signal)]
    fn access_refused(
        &self,
        container_id: i32,
        gateway: String,
        what: String,
        count: u64,
    ) -> zbus::Result<()>;
    /// A container is in another state, and why.
    #[zbus(signal)]
    fn container_state_changed(
        &self,
        container_id: i32,
        state: String,
        reason: String,
    ) -> zbus::Result<()>;
    /// The kernel has killed processes of a container because memory was short.
    #[zbus(signal)]
    fn out_of_memory(&self, container_id: i32, kills: u64) -> zbus::Result<()>;
}

/// The interface `com.pelagicore.SoftwareContainerAgent.Container`;
/// `com.pelagicore.SoftwareContainerAgent.Container.xml` is its contract.
#[proxy(
    interface = "com.pelagicore.SoftwareContainerAgent.Container",
    default_service = "com.pelagicore.SoftwareContainerAgent"
)]
pub trait Container {
    /// What it uses now; keys and units: "See inside" in the book.
    fn get_statistics(&self) -> Result<OwnedDetails, Error>;
    /// What was asked of gateways: capability, manifest, gateway, one element of its
    /// configuration (JSON).
    fn get_rules(&self) -> Result<Vec<(String, String, String, String)>, Error>;
    /// `ID`.
    #[zbus(property(emits_changed_signal = "const"), name = "ID")]
    fn id(&self) -> zbus::Result<i32>;
    /// As given to CreateNamed; empty for Create.
    #[zbus(property(emits_changed_signal = "const"), name = "AppID")]
    fn app_id(&self) -> zbus::Result<String>;
    /// `Label`.
    #[zbus(property(emits_changed_signal = "const"))]
    fn label(&self) -> zbus::Result<String>;
    /// The user who created it.
    #[zbus(property(emits_changed_signal = "const"))]
    fn creator(&self) -> zbus::Result<u32>;
    /// The connection to the bus with which it goes; empty if it stays.
    #[zbus(property(emits_changed_signal = "const"))]
    fn bound_to(&self) -> zbus::Result<String>;
    /// The options of Create: JSON.
    #[zbus(property(emits_changed_signal = "const"))]
    fn options(&self) -> zbus::Result<String>;
    /// When it was created, in microseconds since 1970.
    #[zbus(property(emits_changed_signal = "const"))]
    fn since(&self) -> zbus::Result<u64>;
    /// The process ID of its init on the host.
    #[zbus(property(emits_changed_signal = "const"))]
    fn init(&self) -> zbus::Result<u32>;
    /// The user of the container that its apps are.
    #[zbus(property(emits_changed_signal = "const"))]
    fn user(&self) -> zbus::Result<u32>;
    /// `Addresses`.
    #[zbus(property(emits_changed_signal = "const"))]
    fn addresses(&self) -> zbus::Result<Vec<String>>;
    /// ready, suspended, ended, invalid, destroying or destroyed.
    #[zbus(property)]
    fn state(&self) -> zbus::Result<String>;
    /// Why: call, failure, by-itself, out-of-memory, processes-ended, creator-left or agent-
    /// stops.
    #[zbus(property)]
    fn state_reason(&self) -> zbus::Result<String>;
    /// The capabilities that were set, the default ones included.
    #[zbus(property)]
    fn capabilities(&self) -> zbus::Result<Vec<String>>;
    /// What launchers have mounted: path on the host, path in the container, read-only.
    #[zbus(property)]
    fn mounts(&self) -> zbus::Result<Vec<(String, String, bool)>>;
    /// What launchers have started: process ID on the host, command line, start in
    /// microseconds since 1970.
    #[zbus(property)]
    fn processes(&self) -> zbus::Result<Vec<(u32, String, u64)>>;
    /// The hosts that its rules for the network name: the name, whether it waits for an
    /// answer, its addresses with the seconds since each was last answered, the seconds until
    /// it is looked up anew.
    #[zbus(property(emits_changed_signal = "false"))]
    fn names(&self) -> zbus::Result<Vec<crate::NamedHost>>;
    /// What apps wanted and did not get, the last one first: gateway that could allow it,
    /// what, how often, when last (microseconds since 1970).
    #[zbus(property(emits_changed_signal = "false"))]
    fn refused(&self) -> zbus::Result<Vec<(String, String, u64, u64)>>;
    /// The last processes that have ended, the latest at the end: process ID, command line,
    /// and details as of ProcessEnded with "status" u (the wait status) and "time" t
    /// (microseconds since 1970).
    #[zbus(property(emits_changed_signal = "false"))]
    fn ended(&self) -> zbus::Result<Vec<(u32, String, OwnedDetails)>>;
    /// What is in /gateways.
    #[zbus(property(emits_changed_signal = "false"))]
    fn sockets(&self) -> zbus::Result<Vec<String>>;
}
