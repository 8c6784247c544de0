//! One container, by its name in an LXC path.

use std::{os::unix::ffi::OsStrExt as _, path::Path};

use crate::{
    error::{Error, Result},
    ffi::{Handle, c_string},
};

/// A state that [`Container::wait`] can wait for (lxc-wait(1)).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// The container does not run.
    Stopped,
    /// Its init runs.
    Running,
    /// All of its processes are frozen.
    Frozen,
}

impl State {
    fn name(self) -> &'static std::ffi::CStr {
        match self {
            Self::Stopped => c"STOPPED",
            Self::Running => c"RUNNING",
            Self::Frozen => c"FROZEN",
        }
    }
}

/// A handle on the container of one name; making it starts nothing, dropping it stops nothing.
#[derive(Debug)]
pub struct Container {
    handle: Handle,
    name: String,
}

impl Container {
    /// A handle on container `name` in the LXC path `path`, or in liblxc's own path.
    ///
    /// If `<path>/<name>/config` exists liblxc reads it.
    ///
    /// # Errors
    /// [`Error::Nul`], or [`Error::New`] when liblxc has no memory or cannot lock the name.
    pub fn new(name: &str, path: Option<&Path>) -> Result<Self> {
        let c_name = c_string(name.as_bytes())?;
        let c_path = path
            .map(|path| c_string(path.as_os_str().as_bytes()))
            .transpose()?;
        match Handle::new(&c_name, c_path.as_deref()) {
            Some(handle) => Ok(Self {
                handle,
                name: name.to_owned(),
            }),
            None => Err(Error::New {
                name: name.to_owned(),
            }),
        }
    }

    /// The container's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Sets a configuration item (lxc.container.conf(5)); list items add up.
    ///
    /// # Errors
    /// [`Error::Config`] when liblxc does not know the key or refuses the value.
    pub fn set(&self, key: &str, value: &str) -> Result<()> {
        match self
            .handle
            .set_config_item(&c_string(key.as_bytes())?, &c_string(value.as_bytes())?)
        {
            Some(true) => Ok(()),
            _ => Err(Error::Config {
                name: self.name.clone(),
                key: key.to_owned(),
                value: value.to_owned(),
            }),
        }
    }

    /// A configuration item as it is set, list items one on a line; `None` when there is none or it
    /// is unknown.
    pub fn get(&self, key: &str) -> Option<String> {
        self.handle.config_item(&c_string(key.as_bytes()).ok()?)
    }

    /// Reads further configuration items from `file`.
    ///
    /// # Errors
    /// [`Error::Call`] when the file cannot be read or an item is refused.
    pub fn load_config(&self, file: &Path) -> Result<()> {
        let file = c_string(file.as_os_str().as_bytes())?;
        self.check("load_config", self.handle.load_config(&file))
    }

    /// Writes the configuration to `<path>/<name>/config`, which makes the container known to
    /// `lxc-ls`.
    ///
    /// # Errors
    /// [`Error::Call`] when the directory or the file cannot be written.
    pub fn save_config(&self) -> Result<()> {
        self.check("save_config", self.handle.save_config())
    }

    /// Starts the container's init under a monitor process and returns once it runs.
    ///
    /// # Errors
    /// [`Error::Call`]; the reason is in the container's log file.
    pub fn start(&self) -> Result<()> {
        self.check("want_daemonize", self.handle.want_daemonize())?;
        self.check("want_close_all_fds", self.handle.want_close_all_fds())?;
        self.check("start", self.handle.start())
    }

    /// Kills the container's init, and with it every process in the container.
    ///
    /// Does not return while an exited process that was attached by hand is not reaped by its
    /// parent.
    ///
    /// # Errors
    /// [`Error::Call`].
    pub fn stop(&self) -> Result<()> {
        self.check("stop", self.handle.stop())
    }

    /// Freezes every process in the container. Has no time-out.
    ///
    /// # Errors
    /// [`Error::Call`].
    pub fn freeze(&self) -> Result<()> {
        self.check("freeze", self.handle.freeze())
    }

    /// Thaws a frozen container. Has no time-out.
    ///
    /// # Errors
    /// [`Error::Call`].
    pub fn unfreeze(&self) -> Result<()> {
        self.check("unfreeze", self.handle.unfreeze())
    }

    /// Whether the container's init runs (also when it is frozen).
    pub fn is_running(&self) -> bool {
        self.handle.is_running() == Some(true)
    }

    /// The name of the container's state as liblxc knows it, such as `RUNNING`.
    pub fn state(&self) -> Option<String> {
        self.handle.state()
    }

    /// The init's process ID in the caller's PID namespace, if it runs.
    pub fn init_pid(&self) -> Option<u32> {
        self.handle
            .init_pid()
            .and_then(|pid| u32::try_from(pid).ok())
            .filter(|&pid| pid > 0)
    }

    /// Waits until the container is in `state`, `seconds` at most (negative: without limit).
    ///
    /// # Errors
    /// [`Error::Call`] when the time is over or the state cannot be read.
    pub fn wait(&self, state: State, seconds: i32) -> Result<()> {
        self.check("wait", self.handle.wait(state.name(), seconds))
    }

    /// Writes a cgroup file of the running container, such as `devices.allow`; liblxc finds the
    /// hierarchy, and turns the devices controller's items into a BPF program on a unified one.
    ///
    /// # Errors
    /// [`Error::Call`].
    pub fn set_cgroup_item(&self, item: &str, value: &str) -> Result<()> {
        let result = self
            .handle
            .set_cgroup_item(&c_string(item.as_bytes())?, &c_string(value.as_bytes())?);
        self.check("set_cgroup_item", result)
    }

    /// Calls `function` in a new process in those namespaces of the running container that
    /// `namespaces` names (`CLONE_NEW*`), in its cgroup, and with no more rights than the container
    /// has. The process has the caller's standard streams, no other descriptor, and no environment,
    /// and ends with what the function returns. Returns its process ID; it is a child of the
    /// caller.
    ///
    /// It executes no program, so nothing in the container decides what runs. The caller must have
    /// one thread.
    ///
    /// liblxc (5.0) leaks a descriptor here, so this is for processes that do not live long.
    ///
    /// # Errors
    /// [`Error::Call`].
    pub fn call_inside(&self, function: fn() -> i32, namespaces: i32) -> Result<u32> {
        let pid = crate::attach::call(&self.handle, function, namespaces);
        self.check("attach", pid.map(|pid| pid > 0))?;
        Ok(pid
            .and_then(|pid| u32::try_from(pid).ok())
            .unwrap_or_default())
    }

    fn check(&self, call: &'static str, result: Option<bool>) -> Result<()> {
        match result {
            Some(true) => Ok(()),
            Some(false) => Err(Error::Call {
                name: self.name.clone(),
                call,
                reason: self.handle.error_string(),
            }),
            None => Err(Error::Unsupported { call }),
        }
    }
}
