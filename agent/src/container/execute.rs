//! Execute: a process started in a container.

use std::{collections::BTreeMap, ffi::CString, os::fd::OwnedFd, time::Duration};

use softwarecontainer_capability::privilege::Capability;
use softwarecontainer_init::{Command, Confinement, Limit};

use super::{
    Container, ContainerError, ContainerLimits, INIT_LIMIT,
    execution::{Executed, Execution, Program},
    held_up::HeldUp,
    host_ipc::HostIpc,
    init_link::{InitLink, Started},
    processes::Processes,
    rootfs::HOME,
    state_file::Starter,
    streams::Streams,
};
use crate::{
    command_line,
    error_chain::Chain,
    gateway::ProcessGrants,
    host::{
        app_user::AppUser, cgroup::memory, output_file, process_limits, program, seccomp::Allowed,
        terminal::Terminal,
    },
};

/// Where programs are looked up unless a variable says otherwise.
const DEFAULT_PATH: &str = "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin";
/// What apps have for themselves while the container runs; the gateways' sockets are there as well.
const RUNTIME_DIRECTORY: &str = "/gateways";

impl Container {
    /// Starts a process.
    ///
    /// # Errors
    /// [`ContainerError`] naming what is wrong with the command, the output file or the working
    /// directory.
    pub fn execute(&mut self, execution: &mut Execution) -> Result<Executed, ContainerError> {
        self.require_ready("execute")?;
        if self.freezer.is_frozen() {
            return Err(ContainerError::Frozen { id: self.id });
        }
        let limits = &self.shared.config.limits;
        let line = execution.program.line().into_owned();
        within(
            "command line",
            line.len(),
            limits.command_length,
            "max-command-length",
        )?;
        let arguments = match &execution.program {
            Program::Line(_) => command_line::split(&line),
            Program::Arguments(arguments) => Ok(arguments.clone()),
        };
        let arguments = arguments.map_err(|source| {
            let text = line.clone();
            ContainerError::CommandLine { text, source }
        })?;
        let mut environment = BTreeMap::from([
            ("PATH".to_owned(), DEFAULT_PATH.to_owned()),
            ("XDG_RUNTIME_DIR".to_owned(), RUNTIME_DIRECTORY.to_owned()),
        ]);
        if !self.user.is_root() {
            environment.insert("HOME".to_owned(), HOME.to_owned());
        }
        let grants = self.gateways.grants(&self.target(), &self.settings);
        environment.extend(grants.environment.clone());
        environment.extend(self.environment.clone());
        environment.extend(execution.environment.clone());
        check_variables(&environment, limits)?;
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
            confinement: self.confinement_of(execution, &grants)?,
        };
        let wanted = Some(&execution.output_file).filter(|path| !path.as_os_str().is_empty());
        let (caller, writable) = (execution.caller.as_ref(), &self.shared.paths.writable);
        if let Some(path) = wanted {
            let output = output_file::open(path, caller, writable)?;
            execution.streams = Streams::Output(Some(output));
        }
        let terminal = self.terminal(execution)?;
        self.refresh_gateways();
        let mut held_up = HeldUp::of(self.init, self.freezer.clone(), self.cpu_quota.clone());
        let (init, adjust) = (self.init, self.shared.config.limits.oom_score_adjust);
        let link = self.link(grants.host_ipc)?;
        let processes = link.processes().clone();
        let Started {
            number,
            pid,
            release,
        } = link
            .spawn(&command, &execution.streams, INIT_LIMIT, || held_up.is_so())
            .map_err(|error| {
                ContainerError::spawn(self.id, &arguments, &execution.working_directory, error)
            })?;
        match memory::prefer_for_killing(pid, init, adjust) {
            Ok(()) => release.go_on(),
            // It does not go on. Most likely it has been killed.
            Err(error) => log::warn!("container {}: process {pid}: {}", self.id, Chain(&error)),
        }
        processes.known(pid, number);
        self.facts.process_started(pid, &line);
        self.save();
        Ok(Executed {
            processes,
            number,
            pid,
            terminal,
        })
    }

    /// Makes the terminal that is asked for, and has the process use its far end; the near end.
    fn terminal(&self, execution: &mut Execution) -> Result<Option<OwnedFd>, ContainerError> {
        let Some(size) = execution.terminal else {
            return Ok(None);
        };
        let user = match execution.user {
            Some(user) if user != self.user.inside => AppUser::new(self.owner.0, user),
            _ => self.user,
        };
        let made = Terminal::open(&self.namespaces, user, size);
        let made = made.map_err(|source| ContainerError::Terminal {
            id: self.id,
            source,
        })?;
        execution.streams = Streams::Terminal(made.far);
        Ok(Some(made.near))
    }

    /// What a process is to be without, where its launcher has said more than its manifests.
    fn confinement_of(
        &self,
        execution: &Execution,
        grants: &ProcessGrants,
    ) -> Result<Confinement, ContainerError> {
        let mut confinement = self.confinement(grants)?;
        if let Some(user) = execution.user {
            confinement.user = user;
        }
        for (name, &asked) in &execution.limits {
            let resource = process_limits::named(name);
            let resource =
                resource.ok_or_else(|| ContainerError::UnknownLimit { name: name.clone() })?;
            let limits = &mut confinement.limits;
            match limits.iter_mut().find(|it| it.resource == resource) {
                Some(limit) if asked > limit.hard => {
                    return Err(ContainerError::Limit {
                        id: self.id,
                        name: name.clone(),
                        asked,
                        most: limit.hard,
                    });
                }
                Some(limit) => (limit.soft, limit.hard) = (asked, asked),
                None => limits.push(Limit {
                    resource,
                    soft: asked,
                    hard: asked,
                }),
            }
        }
        Ok(confinement)
    }

    /// What a new process is to be without, where its manifests give it `grants`.
    fn confinement(&self, grants: &ProcessGrants) -> Result<Confinement, ContainerError> {
        let filters = &self.shared.filters;
        let mut allowed = Allowed {
            system_calls: grants.privileges.system_calls.clone(),
            raw_icmp: false,
        };
        // CAP_NET_RAW is for ICMP only as long as a filter sees to that.
        allowed.raw_icmp = grants.raw_icmp
            && filters.are_enabled()
            && !allowed.bypasses_filters()
            && self.baseline.drops_net_raw(&grants.privileges);
        let filters = filters.get(&allowed)?;
        let mut privileges = grants.privileges.clone();
        if allowed.raw_icmp {
            privileges.capabilities.insert(Capability::NetRaw);
        }
        Ok(self.baseline.confinement(self.user, &privileges, &filters))
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
                let (facts, state_file) = (self.facts.clone(), self.state_file.clone());
                let reports = self.shared.reports.clone();
                let processes = Processes::new(facts, state_file, Starter::HostIpc, reports);
                HostIpc::start(
                    self.lxc.path(),
                    &self.name,
                    self.shared.config.landlock,
                    processes,
                    self.init_pidfd.clone(),
                    &self.shared.executor,
                )
                .map_err(|source| ContainerError::HostIpc {
                    id: self.id,
                    source,
                })?
            }
        };
        Ok(&self.host_ipc.insert(started).link)
    }
}

/// Checks the variables of a process.
///
/// # Errors
/// [`ContainerError`]: a name that cannot be, or all are too long together.
pub(super) fn check_variables(
    variables: &BTreeMap<String, String>,
    limits: &ContainerLimits,
) -> Result<(), ContainerError> {
    let wrong = |name: &&String| name.is_empty() || name.contains('=');
    if let Some(name) = variables.keys().find(wrong) {
        return Err(ContainerError::Variable { name: name.clone() });
    }
    let size = variables
        .iter()
        .map(|(name, value)| name.len().saturating_add(value.len()).saturating_add(2))
        .fold(0, usize::saturating_add);
    let limit = limits.environment_size;
    within("environment", size, limit, "max-environment-size")
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
