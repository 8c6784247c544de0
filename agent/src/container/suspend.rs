//! Suspend and Resume: every process of a container is frozen and thawed. Between them its memory
//! can be used by others.

use std::time::Duration;

use super::{Container, ContainerError, KERNEL_LIMIT, Reason, State, Status};
use crate::{error_chain::Chain, host::cgroup::reclaim};

/// How long a container's memory is taken from it at most: other calls on it wait.
const RECLAIM_LIMIT: Duration = Duration::from_secs(10);

impl Container {
    /// Freezes every process, and takes their memory if the configuration says so.
    ///
    /// # Errors
    /// [`ContainerError`]: it is not ready, or it could not be frozen and now is invalid.
    pub fn suspend(&mut self) -> Result<(), ContainerError> {
        self.require_ready("suspend")?;
        self.changing(Self::freeze)?;
        if self.shared.config.reclaim_when_suspended {
            match self.reclaim() {
                Ok(bytes) => log::info!("container {}: {bytes} bytes were reclaimed", self.id),
                // It is suspended all the same.
                Err(error) => log::warn!("container {}: {}", self.id, Chain(&error)),
            }
        }
        Ok(())
    }

    /// Takes the memory of a suspended container; how many bytes that was. What its processes use
    /// when it is resumed comes back.
    ///
    /// # Errors
    /// [`ContainerError`]: it is not suspended, or the kernel cannot do it.
    pub fn reclaim(&self) -> Result<u64, ContainerError> {
        if self.state != State::Suspended {
            return Err(ContainerError::State {
                id: self.id,
                action: "reclaim its memory",
                state: self.state,
            });
        }
        let Some(place) = self.facts.place() else {
            return Ok(0);
        };
        Ok(reclaim(&place.cgroups, RECLAIM_LIMIT)?)
    }

    fn freeze(&mut self) -> Result<(), ContainerError> {
        let frozen = self.in_time("suspend", self.freezer.freeze(KERNEL_LIMIT));
        if frozen.is_err() {
            // Half frozen is worse than not frozen: Destroy needs processes that can end.
            let _ = self.freezer.thaw(KERNEL_LIMIT);
        }
        self.enter(frozen, State::Suspended)?;
        self.tell_lxc(true);
        Ok(())
    }

    /// Thaws a suspended container.
    ///
    /// # Errors
    /// [`ContainerError`]: it is not suspended, or it could not be thawed and now is invalid.
    pub fn resume(&mut self) -> Result<(), ContainerError> {
        if self.state != State::Suspended {
            return Err(ContainerError::State {
                id: self.id,
                action: "resume",
                state: self.state,
            });
        }
        self.changing(Self::thaw)
    }

    fn thaw(&mut self) -> Result<(), ContainerError> {
        let thawed = self.in_time("resume", self.freezer.thaw(KERNEL_LIMIT));
        self.enter(thawed, State::Ready)?;
        self.tell_lxc(false);
        Ok(())
    }

    /// liblxc would freeze and thaw as well, but looks only once a second whether that is done.
    fn tell_lxc(&self, frozen: bool) {
        if let Err(error) = self.lxc.tell_frozen(frozen) {
            log::warn!("what lxc-info says of {} is not so: {error}", self.name);
        }
    }

    fn enter(
        &mut self,
        result: Result<(), ContainerError>,
        state: State,
    ) -> Result<(), ContainerError> {
        self.state = if result.is_ok() {
            state
        } else {
            State::Invalid
        };
        let (status, reason) = match self.state {
            State::Ready => (Status::Ready, Reason::Call),
            State::Suspended => (Status::Suspended, Reason::Call),
            State::Invalid => (Status::Invalid, Reason::Failure),
        };
        self.facts.enter(status, reason);
        result
    }

    pub(super) fn in_time<E: Into<ContainerError>>(
        &self,
        action: &'static str,
        done: Result<bool, E>,
    ) -> Result<(), ContainerError> {
        match done {
            Ok(true) => Ok(()),
            Ok(false) => Err(ContainerError::Late {
                id: self.id,
                action,
            }),
            Err(error) => Err(error.into()),
        }
    }
}
