//! Starting liblxc: in a thread with descriptors of its own, and with a limit.
//!
//! liblxc closes each descriptor that its monitor inherits, and reads `/proc/self/fd` anew after
//! each; with many containers that took most of a start. The thread shares no descriptors with the
//! agent and has closed all of them, so that there is nothing to close.
//!
//! liblxc's monitor listens on an abstract socket (unix(7)) whose name anybody can tell from the
//! path and the container's name, and anybody on the host can bind first. `lxc-ls` and its kind
//! find containers by that name, so it is used as long as it is free. Else the start is repeated
//! with another name for the same directory, which nobody can guess ([`LxcPaths`]).

use std::{
    fs, io,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError, mpsc},
    thread,
    time::Duration,
};

use nix::sched::{CloneFlags, unshare};
use softwarecontainer_lxc as lxc;
use thiserror::Error;

use super::confinement::Baseline;
use crate::host::{random, sys};

/// How long liblxc may take to start a container. A host under load needs seconds.
const START_LIMIT: Duration = Duration::from_secs(30);
/// How the names of directories begin that stand for LXC's path.
const ALIAS: &str = "lxc-path-";
/// What liblxc logs when it cannot bind its socket.
const SOCKET_IS_TAKEN: &str = "command socket";

/// Why liblxc did not start a container.
#[derive(Debug, Error)]
pub enum StartError {
    /// It said so.
    #[error(transparent)]
    Lxc(#[from] lxc::Error),
    /// What LXC has saved of an earlier container cannot be removed.
    #[error("cannot remove LXC's directory of an earlier container")]
    Saved(#[source] io::Error),
    /// There is no thread to call it from.
    #[error("cannot start a thread")]
    Thread(#[source] io::Error),
    /// The thread's descriptors cannot be its own.
    #[error("cannot leave the agent's descriptors")]
    Descriptors(#[source] io::Error),
    /// It has not come back in time.
    #[error("liblxc did not start the container in time")]
    Late,
}

/// What a container is started with.
#[derive(Debug, Clone)]
pub struct Start {
    /// Its LXC name.
    pub name: String,
    /// The items of its LXC configuration.
    pub items: Vec<(&'static str, String)>,
    /// What its apps are without.
    pub baseline: Baseline,
    /// The path of the cgroup in which liblxc is to make the one that monitors go to when they
    /// remove their containers', if it is not at the top.
    pub pivot_parent: Option<&'static str>,
    /// The AppArmor profile, and whether it may be missing.
    pub apparmor: Option<(String, bool)>,
    /// The integrator's own LXC settings.
    pub extra: Option<PathBuf>,
    /// Where liblxc logs.
    pub log: PathBuf,
}

/// Where LXC keeps its containers, by the name that everybody knows and by one that nobody can
/// guess.
#[derive(Debug)]
pub struct LxcPaths {
    path: PathBuf,
    /// Where the other name is made: only root can write there.
    directory: PathBuf,
    alias: Mutex<Option<PathBuf>>,
}

impl LxcPaths {
    /// `path`, and another name for it in `directory`, made when it is needed.
    pub fn new(path: PathBuf, directory: PathBuf) -> Self {
        Self {
            path,
            directory,
            alias: Mutex::default(),
        }
    }

    /// The directory by the name that everybody knows.
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn alias(&self) -> io::Result<PathBuf> {
        let mut alias = self.alias.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(alias) = &*alias {
            return Ok(alias.clone());
        }
        let name = format!("{ALIAS}{:016x}", u64::from_ne_bytes(random::bytes()?));
        let made = self.directory.join(name);
        symlink(&self.path, &made)?;
        Ok(alias.insert(made).clone())
    }

    /// Removes the other name; to be called after the last container.
    pub fn remove_alias(&self) {
        Self::remove_aliases(&self.directory, |_| false);
    }

    /// Removes other names that agents have made in `directory`, but those that are `used`.
    pub fn remove_aliases(directory: &Path, used: impl Fn(&Path) -> bool) {
        let entries = fs::read_dir(directory).into_iter().flatten().flatten();
        for entry in entries {
            let is_alias = entry.file_name().to_string_lossy().starts_with(ALIAS);
            if is_alias
                && !used(&entry.path())
                && entry.file_type().is_ok_and(|kind| kind.is_symlink())
            {
                // One that stays does no harm.
                let _ = fs::remove_file(entry.path());
            }
        }
    }
}

/// Starts a container; what its apps are without, and LXC's path as its monitor knows it.
///
/// # Errors
/// [`StartError`]. Processes may be left, and go on when it was too late.
pub fn start(start: &Start, paths: &LxcPaths) -> Result<(Baseline, PathBuf), StartError> {
    let path = paths.path().to_owned();
    match in_thread(start, &path) {
        Err(StartError::Lxc(error)) if is_socket_taken(&start.log) => {
            let Ok(alias) = paths.alias() else {
                return Err(error.into());
            };
            log::warn!(
                "somebody else has bound LXC's command socket of {}: lxc-ls and its kind find this \
                 container by -P {}",
                start.name,
                alias.display()
            );
            // What it says of a failure is to be of the second try.
            let _ = fs::remove_file(&start.log);
            Ok((in_thread(start, &alias)?, alias))
        }
        started => Ok((started?, path)),
    }
}

fn is_socket_taken(log: &Path) -> bool {
    fs::read(log).is_ok_and(|log| String::from_utf8_lossy(&log).contains(SOCKET_IS_TAKEN))
}

fn in_thread(start: &Start, path: &Path) -> Result<Baseline, StartError> {
    // liblxc reads what an earlier try has saved, and lists would add up.
    match fs::remove_dir_all(path.join(&start.name)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(StartError::Saved(error));
        }
        _ => {}
    }
    // The monitor is a copy of this process.
    sys::give_back_heap();
    let (sender, receiver) = mpsc::channel();
    let (start, path) = (start.clone(), path.to_owned());
    thread::Builder::new()
        .name("lxc-start".to_owned())
        .spawn(move || {
            let result = leave_descriptors().and_then(|()| Ok(call(start, &path)?));
            // Nobody waits any more if it took too long.
            let _ = sender.send(result);
        })
        .map_err(StartError::Thread)?;
    receiver
        .recv_timeout(START_LIMIT)
        .unwrap_or(Err(StartError::Late))
}

/// From here on the thread must use no descriptor of the agent's, also not for its log.
fn leave_descriptors() -> Result<(), StartError> {
    unshare(CloneFlags::CLONE_FILES).map_err(|errno| StartError::Descriptors(errno.into()))?;
    sys::close_all_but_streams().map_err(StartError::Descriptors)
}

fn call(start: Start, path: &Path) -> lxc::Result<Baseline> {
    let container = lxc::Container::new(&start.name, Some(path))?;
    for (key, value) in &start.items {
        container.set(key, value)?;
    }
    if let Some(parent) = start.pivot_parent {
        // Early releases of LXC 4 have no such key.
        let _ = container.set("lxc.cgroup.dir.monitor.pivot", parent);
    }
    if let Some((profile, may_be_missing)) = &start.apparmor {
        // A liblxc that was built without AppArmor refuses it.
        let set = container.set("lxc.apparmor.profile", profile);
        if !may_be_missing {
            set?;
        }
    }
    let mut baseline = start.baseline;
    if let Some(extra) = &start.extra {
        baseline.load_over(&container, extra)?;
    }
    container.save_config()?;
    container.start()?;
    Ok(baseline)
}
