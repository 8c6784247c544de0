//! Destroy: every process of a container ends, and what it used is removed.

use rustix::process::{Signal, pidfd_send_signal};

use super::{
    Container, ContainerError, KERNEL_LIMIT, Reason, State, Status, create::remove_lxc_directory,
};
use crate::{
    error_chain::Chain,
    gateway::Gateways,
    host::{cgroup::CpuQuota, mount, wait},
};

impl Container {
    /// Ends every process and removes everything the container used, for `reason`. Carries on after
    /// a failure and reports all of them.
    ///
    /// # Errors
    /// [`ContainerError`]; the container is invalid then, and this may be called again.
    pub fn destroy(&mut self, reason: Reason) -> Result<(), ContainerError> {
        self.facts.enter(Status::Destroying, reason);
        self.give_up();
        let destroyed = self.end_and_remove();
        if destroyed.is_err() {
            self.facts.enter(Status::Invalid, Reason::Failure);
        }
        destroyed
    }

    fn end_and_remove(&mut self) -> Result<(), ContainerError> {
        let mut errors = Vec::new();
        // Somebody else may have frozen it. A failure shows by processes that do not end.
        if let Err(error) = self.in_time("thaw", self.freezer.thaw(KERNEL_LIMIT)) {
            log::warn!("{}", Chain(&error));
        }
        // Ending takes processor time, too.
        if let Some(Err(error)) = self.cpu_quota.as_ref().map(CpuQuota::lift) {
            log::warn!("container {}: {}", self.id, Chain(&error));
        }
        self.state = State::Invalid;
        // Hooks are only in an integrator's own lines, and those must run.
        let without_monitor = self.shared.config.extra_lxc_config.is_none();
        if without_monitor {
            self.monitor.pause();
        }
        // While a process may still write, nothing that it wrote must go.
        let all_ended = self.end_processes();
        if !all_ended {
            errors.push(ContainerError::Late {
                id: self.id,
                action: "the end of its processes",
            });
        }
        // While the network namespace is there: what the kernel does after its end would be waited
        // for.
        if let Err(error) = self.network.detach(self.id) {
            errors.push(error.into());
        }
        if all_ended && without_monitor {
            self.monitor.kill(&self.init_pidfd);
        } else {
            self.monitor.resume();
        }
        // Sockets of gateways would keep the container's mounts busy; helper processes end with
        // them.
        self.gateways = Gateways::default();
        if all_ended && let Err(failures) = self.remove_cgroups() {
            errors.extend(failures);
        }
        let written = match &self.buffers {
            Some(buffers) if all_ended => buffers.sync().map_err(ContainerError::Buffers),
            _ => Ok(()),
        };
        match written {
            Err(error) => errors.push(error),
            Ok(()) if self.buffers.is_some() && !all_ended => {}
            Ok(()) => {
                if let Err(error) = mount::remove_with_mounts(self.rootfs.directory()) {
                    errors.push(error.into());
                }
            }
        }
        if let Err(error) = remove_lxc_directory(self.shared.lxc.path(), &self.name) {
            errors.push(error);
        }
        match errors.pop() {
            None => Ok(()),
            Some(error) if errors.is_empty() => Err(error),
            Some(error) => {
                errors.push(error);
                Err(ContainerError::Several(errors))
            }
        }
    }

    /// Ends the monitor and the helpers, and removes the cgroups.
    ///
    /// # Errors
    /// Those that could not be removed.
    fn remove_cgroups(&self) -> Result<(), Vec<ContainerError>> {
        if let Err((path, error)) = self.monitor.finish(&self.init_pidfd, KERNEL_LIMIT) {
            log::debug!("cgroup {}: {error}", path.display());
            // This process may be in it, from a start of a container that took long.
            self.shared.own_cgroups.come_back();
        }
        let (cgroups, parents) = (self.monitor.cgroup_names(), &self.shared.cgroup_parents);
        if cgroups.exist(parents) {
            return cgroups.end(parents, KERNEL_LIMIT);
        }
        Ok(())
    }

    /// Whether all have ended.
    fn end_processes(&self) -> bool {
        let limit = self.shared.config.shutdown_timeout;
        if let Some(host_ipc) = &self.host_ipc {
            // First, because it tells how its processes have ended; those of the first init are
            // asked to end with them.
            host_ipc.link.terminate(limit);
        }
        if self.link.terminate(limit) && wait::ended(&self.init_pidfd, limit) {
            return true;
        }
        // The kernel ends every process of a PID namespace together with its init. An error means
        // that it has ended meanwhile.
        let _ = pidfd_send_signal(&self.init_pidfd, Signal::KILL);
        self.wait_ended() && self.link.wait_gone(KERNEL_LIMIT)
    }

    /// Waits for the end of the init, as long as processes go on ending.
    fn wait_ended(&self) -> bool {
        let mut left = self.monitor.processes();
        while !wait::ended(&self.init_pidfd, KERNEL_LIMIT) {
            let now = self.monitor.processes();
            if now >= left {
                return false;
            }
            left = now;
        }
        true
    }
}
