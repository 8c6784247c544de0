//! Calls of liblxc on a running container, none of which can hold up its caller for ever.

use std::{
    path::{Path, PathBuf},
    sync::mpsc,
    thread,
    time::Duration,
};

use softwarecontainer_lxc as lxc;

/// How long a call may take.
const LIMIT: Duration = Duration::from_secs(5);

/// A running container, as liblxc is asked about it.
#[derive(Debug)]
pub struct LxcCalls {
    name: String,
    path: PathBuf,
}

impl LxcCalls {
    /// Container `name` in LXC's `path`, as its monitor knows it.
    pub fn new(name: &str, path: PathBuf) -> Self {
        Self {
            name: name.to_owned(),
            path,
        }
    }

    /// LXC's path, as the container's monitor knows it.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes a cgroup file of the container, see [`lxc::Container::set_cgroup_item`].
    ///
    /// # Errors
    /// liblxc's, [`lxc::Error::Late`] among them.
    pub fn set_cgroup_item(&self, item: &str, value: &str) -> lxc::Result<()> {
        let (item, value) = (item.to_owned(), value.to_owned());
        self.within_limit("set_cgroup_item", move |container| {
            container.set_cgroup_item(&item, &value)
        })
    }

    /// Tells the container's monitor, and through it `lxc-ls` and its kind, that the container is
    /// frozen or thawed, which it is already.
    ///
    /// # Errors
    /// liblxc's, [`lxc::Error::Late`] among them.
    pub fn tell_frozen(&self, frozen: bool) -> lxc::Result<()> {
        if frozen {
            self.within_limit("freeze", lxc::Container::freeze)
        } else {
            self.within_limit("unfreeze", lxc::Container::unfreeze)
        }
    }

    /// Calls liblxc in a thread that is left alone when it does not come back in time.
    fn within_limit(
        &self,
        call: &'static str,
        work: impl FnOnce(&lxc::Container) -> lxc::Result<()> + Send + 'static,
    ) -> lxc::Result<()> {
        let (name, path) = (self.name.clone(), self.path.clone());
        let late = || lxc::Error::Late {
            name: self.name.clone(),
            call,
        };
        let (sender, receiver) = mpsc::channel();
        thread::Builder::new()
            .name("lxc-call".to_owned())
            .spawn(move || {
                let result =
                    lxc::Container::new(&name, Some(&path)).and_then(|container| work(&container));
                // Nobody waits any more if it took too long.
                let _ = sender.send(result);
            })
            .map_err(|_| late())?;
        receiver.recv_timeout(LIMIT).unwrap_or_else(|_| Err(late()))
    }
}
