//! The cgroups of a container's helper processes.
//!
//! What an app has such a process do counts as the apps' share of the machine, not as the agent's.
//! They are beside the container's own, not in it: Suspend does not freeze who serves others, and
//! the kernel kills none of them for the memory of the app. Their path names the container, so that
//! a service of the host can tell whom a peer of its bus stands for.

use std::{
    collections::BTreeSet,
    io,
    path::{Path, PathBuf},
    process::{Child, Command},
    sync::Arc,
};

use super::{CgroupError, OwnCgroups, make, write};

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

    /// Starts a process in them. In hierarchies without bounds of ours it is in the agent's.
    ///
    /// # Errors
    /// The system's; then nothing runs.
    pub fn spawn(&self, command: &mut Command) -> io::Result<Child> {
        let mut child = self.own.start_here(|| command.spawn())?;
        if let Err(error) = self.take_in(child.id()) {
            // Either fails only if it has been reaped.
            let _ = child.kill();
            let _ = child.wait();
            return Err(io::Error::other(error));
        }
        Ok(child)
    }

    fn take_in(&self, process: u32) -> Result<(), CgroupError> {
        for parent in &self.parents {
            make(parent, Path::new(&self.name))?;
            let members = parent.join(&self.name).join("cgroup.procs");
            write(&members, &process.to_string())?;
        }
        Ok(())
    }
}
