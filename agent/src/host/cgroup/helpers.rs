//! The cgroups of a container's helper processes.
//!
//! What an app has such a process do counts as the apps' share of the machine, not as the agent's.
//! They are beside the container's own, not in it: Suspend does not freeze who serves others, and
//! the kernel kills none of them for the memory of the app. Their path names the container, so that
//! a service of the host can tell whom a peer of its bus stands for.

use std::{
    collections::BTreeSet,
    fs, io,
    path::{Path, PathBuf},
    process::{Child, Command},
    sync::Arc,
    thread,
};

use super::{CgroupError, OwnCgroups, make, write};
use crate::{error_chain::Chain, host::process::Watched};

/// The cgroups of one container's helper processes.
#[derive(Debug, Clone)]
pub struct HelperCgroups {
    /// Where they start.
    own: Arc<OwnCgroups>,
    /// In which directories theirs are made, one in each hierarchy.
    parents: BTreeSet<PathBuf>,
    name: String,
}

impl HelperCgroups {
    /// Those called `name` in `parents`, made when they are needed, of processes that are started
    /// from `own`.
    #[must_use]
    pub fn new(own: Arc<OwnCgroups>, parents: BTreeSet<PathBuf>, name: String) -> Self {
        Self { own, parents, name }
    }

    /// Starts a process, which is taken into them while it begins its work: the kernel waits for
    /// all processors before a process changes its cgroups, some ten milliseconds, and a launcher
    /// waits for the process. It is killed if it cannot be. In hierarchies without bounds of ours
    /// it comes to be in the agent's.
    ///
    /// # Errors
    /// The system's; then nothing runs.
    pub fn spawn(&self, command: &mut Command) -> io::Result<Child> {
        let mut child = command.spawn()?;
        let started = Watched::child(&child).and_then(|process| {
            let own = self.clone();
            thread::Builder::new()
                .name("cgroup".to_owned())
                .spawn(move || own.take_in_or_kill(&process))
        });
        if let Err(error) = started {
            // Either fails only if it has been reaped.
            let _ = child.kill();
            let _ = child.wait();
            return Err(error);
        }
        Ok(child)
    }

    fn take_in_or_kill(&self, process: &Watched) {
        if let Err(error) = self.take_in(process)
            && !process.has_ended()
        {
            log::error!(
                "process {} cannot be taken into cgroup {}, and is killed: {}",
                process.pid(),
                self.name,
                Chain(&error)
            );
            process.kill();
        }
    }

    fn take_in(&self, process: &Watched) -> Result<(), CgroupError> {
        // The agent may have been in the cgroups of a container's monitor when it started it.
        self.own.take_in(process)?;
        for parent in &self.parents {
            if process.has_ended() {
                return Ok(());
            }
            make(parent, Path::new(&self.name))?;
            let directory = parent.join(&self.name);
            let members = directory.join("cgroup.procs");
            if let Err(error) = write(&members, &process.pid().to_string()) {
                // With the process, its container may have gone, which would have removed it.
                let _ = fs::remove_dir(directory);
                return Err(error);
            }
        }
        Ok(())
    }
}
