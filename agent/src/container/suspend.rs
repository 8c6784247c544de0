//! Suspend and Resume: every process of a container is frozen and thawed.

use std::{
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use softwarecontainer_lxc as lxc;

use super::{Container, ContainerError, LXC_LIMIT, State};
use crate::host::cgroup::{self, Cgroups, Version};

/// The pause between two looks whether all processes of a v1 cgroup are frozen.
const FREEZER_PAUSE: Duration = Duration::from_micros(500);
/// How long they are looked at; liblxc goes on then.
const FREEZER_LIMIT: Duration = Duration::from_secs(1);

impl Container {
    /// Freezes every process.
    ///
    /// # Errors
    /// [`ContainerError`]: it is not ready, or it could not be frozen and now is invalid.
    pub fn suspend(&mut self) -> Result<(), ContainerError> {
        self.require_ready("suspend")?;
        self.freeze_v1();
        let frozen = self.within_limit("suspend", lxc::Container::freeze);
        if frozen.is_err() {
            // Half frozen is worse than not frozen: Destroy needs processes that can end.
            let _ = self.within_limit("thaw", lxc::Container::unfreeze);
        }
        self.enter(frozen, State::Suspended)
    }

    /// Freezes the processes in a v1 hierarchy, where liblxc looks only once a second whether they
    /// are. It looks again afterwards, so a failure here only costs that time.
    fn freeze_v1(&self) {
        let Ok(cgroups) = Cgroups::of_process(self.init) else {
            return;
        };
        if cgroups.version("freezer") != Some(Version::V1) {
            return;
        }
        let Ok(state) = cgroups
            .directory("freezer")
            .map(|it| it.join("freezer.state"))
        else {
            return;
        };
        let deadline = Instant::now() + FREEZER_LIMIT;
        // Written again each time: a process that was just forked is frozen by that (the kernel's
        // documentation of the v1 freezer).
        while cgroup::write(&state, "FROZEN").is_ok()
            && cgroup::read(&state).is_ok_and(|now| now != "FROZEN")
            && Instant::now() < deadline
        {
            thread::sleep(FREEZER_PAUSE);
        }
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
        let thawed = self.within_limit("resume", lxc::Container::unfreeze);
        self.enter(thawed, State::Ready)
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
        result
    }

    /// Calls liblxc in a thread that is left alone when it does not come back in time.
    pub(super) fn within_limit(
        &self,
        action: &'static str,
        call: fn(&lxc::Container) -> lxc::Result<()>,
    ) -> Result<(), ContainerError> {
        let failed = |error| ContainerError::Lxc {
            error,
            log: String::new(),
        };
        let handle =
            lxc::Container::new(&self.name, Some(&self.shared.lxc_path)).map_err(failed)?;
        let (sender, receiver) = mpsc::channel();
        let late = || ContainerError::Late {
            id: self.id,
            action,
        };
        thread::Builder::new()
            .name(action.to_owned())
            .spawn(move || sender.send(call(&handle)))
            .map_err(|_| late())?;
        receiver
            .recv_timeout(LXC_LIMIT)
            .map_err(|_| late())?
            .map_err(failed)
    }
}
