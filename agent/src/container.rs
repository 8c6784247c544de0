//! One container: made, used and removed by blocking calls, one at a time.

mod config;
mod confinement;
mod destroy;
pub mod error;
pub mod host_ipc;
pub mod init_link;
mod lifecycle;
mod lxc_config;
mod monitor;
pub mod options;
pub mod processes;
pub mod rootfs;
mod sleep;
pub mod stale;

use std::{
    collections::BTreeMap,
    ffi::CString,
    os::fd::{AsFd as _, OwnedFd},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use softwarecontainer_capability::{GatewayConfig, GatewaySettings, privilege::Privileges};
use softwarecontainer_init::{Command, Confinement};
use softwarecontainer_lxc as lxc;
use softwarecontainer_network::Network;

pub use config::{ContainerConfig, ContainerLimits};
pub use error::ContainerError;
pub use lifecycle::Host;

use crate::{
    command_line,
    gateway::{Gateways, Target},
    host::{
        container_path::Owner, credentials::Credentials, namespace::Namespaces, output_file,
        program,
    },
    mounts::{BindError, HostSource, Mounts, buffers::Buffers},
};
use confinement::Baseline;
use host_ipc::HostIpc;
use init_link::InitLink;
use monitor::Monitor;
use processes::{Number, Processes};
use rootfs::Rootfs;

/// How long the container's init may take to answer.
const INIT_LIMIT: Duration = Duration::from_secs(10);
/// How long liblxc may take to freeze or thaw a container, and the kernel to end its processes.
const LXC_LIMIT: Duration = Duration::from_secs(5);
/// Where programs are looked up unless a variable says otherwise.
const DEFAULT_PATH: &str = "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin";

/// What may be done with a container.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Everything but Resume.
    Ready,
    /// Only Resume and Destroy.
    Suspended,
    /// Only Destroy: an earlier call failed in LXC, or the container has ended by itself.
    Invalid,
}

/// A container that was created and not yet destroyed.
pub struct Container {
    id: i32,
    name: String,
    lxc: lxc::Container,
    init: u32,
    init_pidfd: OwnedFd,
    monitor: Monitor,
    link: InitLink,
    host_ipc: Option<HostIpc>,
    namespaces: Option<Namespaces>,
    rootfs: Rootfs,
    buffers: Option<Buffers>,
    owner: Owner,
    state: State,
    settings: GatewaySettings,
    baseline: Baseline,
    gateways: Gateways,
    network: Arc<Network>,
    host: Arc<Host>,
}

/// What `Execute` is to start.
#[derive(Debug, Clone)]
pub struct Execution {
    /// The command line, split like a shell does.
    pub command_line: String,
    /// The working directory in the container, empty for its root.
    pub working_directory: String,
    /// The host file for standard output and error, empty for none.
    pub output_file: PathBuf,
    /// Variables that win over those of the gateways.
    pub environment: BTreeMap<String, String>,
    /// Who asks for it; `None` when that is not known, which only goes without an output file.
    pub caller: Option<Credentials>,
}

impl Container {
    /// Applies gateway configurations on top of those applied before; all or nothing. One that was
    /// applied before is not applied again: what it appends to a variable, for example, is there
    /// already.
    ///
    /// # Errors
    /// [`ContainerError`]; the container then is as before.
    pub fn set_capabilities(&mut self, configs: &[GatewayConfig]) -> Result<(), ContainerError> {
        self.require_ready("set capabilities")?;
        let mut settings = self.settings.clone();
        settings.add(configs)?;
        // Taken out, so that a gateway may look at the container that it changes.
        let mut gateways = std::mem::take(&mut self.gateways);
        let changed = self
            .target()
            .and_then(|target| Ok(gateways.change(&target, &self.settings, &settings)?));
        self.gateways = gateways;
        changed?;
        self.settings = settings;
        Ok(())
    }

    /// Applies the default capabilities, unless they have been applied.
    ///
    /// # Errors
    /// As for [`Self::set_capabilities`].
    pub fn set_defaults(&mut self, configs: &[GatewayConfig]) -> Result<(), ContainerError> {
        if self.settings.has(configs) {
            return Ok(());
        }
        self.set_capabilities(configs)
    }

    /// Mounts a host path in the container.
    ///
    /// # Errors
    /// [`ContainerError`] naming the path.
    pub fn bind_mount(
        &mut self,
        host: &Path,
        container: &Path,
        read_only: bool,
    ) -> Result<(), ContainerError> {
        self.require_ready("bind-mount")?;
        let mounts = self.mounts()?;
        HostSource::open(host, !read_only, None, mounts.paths)
            .map_err(BindError::from)
            .and_then(|source| mounts.bind(&source, container, read_only))
            .map(drop)
            .map_err(|source| ContainerError::BindMount {
                id: self.id,
                source: Box::new(source),
            })
    }

    fn mounts(&self) -> Result<Mounts<'_>, ContainerError> {
        let Some(namespaces) = &self.namespaces else {
            return Err(ContainerError::Gone { id: self.id });
        };
        Ok(Mounts {
            id: self.id,
            namespaces,
            owner: self.owner,
            buffers: self.buffers.as_ref(),
            paths: &self.host.paths,
        })
    }

    fn target(&self) -> Result<Target<'_>, ContainerError> {
        let mounts = self.mounts()?;
        Ok(Target {
            id: self.id,
            name: &self.name,
            init: self.init,
            namespaces: mounts.namespaces,
            mounts,
            gateways: self.rootfs.gateways(),
            devices: self.rootfs.devices(),
            owner: self.owner,
            lxc: &self.lxc,
            network: &self.network,
            sockets: &self.host.sockets,
            home: &self.host.home,
            filters: &self.host.filters,
            config: &self.host.config.gateways,
        })
    }

    /// Starts a process; where it is kept, its number there, and its process ID on the host.
    ///
    /// # Errors
    /// [`ContainerError`] naming what is wrong with the command, the output file or the working
    /// directory.
    pub fn execute(
        &mut self,
        execution: &Execution,
    ) -> Result<(Arc<Processes>, Number, u32), ContainerError> {
        self.require_ready("execute")?;
        let limits = &self.host.config.limits;
        within(
            "command line",
            execution.command_line.len(),
            limits.command_length,
            "max-command-length",
        )?;
        let arguments = command_line::split(&execution.command_line).map_err(|error| {
            ContainerError::CommandLine {
                text: execution.command_line.clone(),
                error,
            }
        })?;
        let mut environment = BTreeMap::from([("PATH".to_owned(), DEFAULT_PATH.to_owned())]);
        let grants = self.gateways.grants(&self.target()?, &self.settings);
        environment.extend(grants.environment);
        for (name, value) in &execution.environment {
            if name.is_empty() || name.contains('=') {
                return Err(ContainerError::Variable { name: name.clone() });
            }
            environment.insert(name.clone(), value.clone());
        }
        let size = environment
            .iter()
            .map(|(name, value)| name.len().saturating_add(value.len()).saturating_add(2))
            .fold(0, usize::saturating_add);
        within(
            "environment",
            size,
            limits.environment_size,
            "max-environment-size",
        )?;
        let variables = environment
            .iter()
            .map(|(name, value)| c_string(&format!("{name}={value}")));
        let command = Command {
            directory: c_string(&execution.working_directory)?,
            arguments: arguments
                .iter()
                .map(|text| c_string(text))
                .collect::<Result<_, _>>()?,
            environment: variables.collect::<Result<_, _>>()?,
            if_missing: c_string(&if_missing(&arguments, &environment))?,
            confinement: self.confinement(&grants.privileges)?,
        };
        let wanted = Some(&execution.output_file).filter(|path| !path.as_os_str().is_empty());
        let (caller, writable) = (execution.caller.as_ref(), &self.host.paths.writable);
        let output = wanted
            .map(|path| output_file::open(path, caller, writable))
            .transpose()?;
        self.refresh_gateways();
        let link = self.link(grants.host_ipc)?;
        let processes = link.processes().clone();
        let (number, pid) = link
            .spawn(
                &command,
                output.as_ref().map(|output| output.as_fd()),
                INIT_LIMIT,
            )
            .map_err(|error| {
                ContainerError::spawn(self.id, &arguments, &execution.working_directory, error)
            })?;
        Ok((processes, number, pid))
    }

    /// What a new process is to be without, where its manifests give it `privileges`.
    fn confinement(&self, privileges: &Privileges) -> Result<Confinement, ContainerError> {
        let filter = self.host.filters.get(&privileges.system_calls)?;
        Ok(self.baseline.confinement(privileges, &filter))
    }

    /// The connection to what starts new processes: the init, or the second one in the host's IPC
    /// namespace.
    fn link(&mut self, host_ipc: bool) -> Result<&InitLink, ContainerError> {
        if !host_ipc {
            return Ok(&self.link);
        }
        // An app can end it, as it can end any process of the container but the init.
        let started = match self.host_ipc.take() {
            Some(started) if !started.link.wait_gone(Duration::ZERO) => started,
            _ => {
                let processes = Processes::new(self.id, self.host.ended.clone());
                HostIpc::start(
                    &self.host.lxc_path,
                    &self.name,
                    Arc::new(processes),
                    &self.host.executor,
                )
                .map_err(|source| ContainerError::HostIpc {
                    id: self.id,
                    source,
                })?
            }
        };
        Ok(&self.host_ipc.insert(started).link)
    }

    /// Lets the gateways follow what has changed on the host, in a container that is ready.
    pub fn refresh_gateways(&mut self) {
        if self.state != State::Ready {
            return;
        }
        let mut gateways = std::mem::take(&mut self.gateways);
        if let Ok(target) = self.target() {
            gateways.refresh(&target, &self.settings);
        }
        self.gateways = gateways;
    }

    /// Checks that it is neither suspended nor invalid, and has not ended by itself.
    ///
    /// # Errors
    /// [`ContainerError`] with `action`.
    pub fn require_ready(&self, action: &'static str) -> Result<(), ContainerError> {
        match self.state {
            State::Ready if self.link.is_gone() => Err(ContainerError::Gone { id: self.id }),
            State::Ready => Ok(()),
            state => Err(ContainerError::State {
                id: self.id,
                action,
                state,
            }),
        }
    }
}

/// What the output file says of a program that the container lacks, beside that.
fn if_missing(arguments: &[String], environment: &BTreeMap<String, String>) -> String {
    let path = environment.get("PATH").map_or("", String::as_str);
    let on_host = arguments.first().and_then(|name| program::find(name, path));
    on_host.map_or_else(String::new, |found| {
        format!(
            "the host has {}, this container does not see it: BindMount or a file gateway can \
             bring it",
            found.display()
        )
    })
}

fn within(
    what: &'static str,
    size: usize,
    limit: u32,
    key: &'static str,
) -> Result<(), ContainerError> {
    if u32::try_from(size).is_ok_and(|size| size <= limit) {
        return Ok(());
    }
    Err(ContainerError::TooLong {
        what,
        size,
        limit,
        key,
    })
}

fn c_string(text: &str) -> Result<CString, ContainerError> {
    CString::new(text).map_err(|_| ContainerError::Nul {
        text: text.to_owned(),
    })
}
