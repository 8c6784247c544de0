//! The namespaces of a running container, and work inside its mount namespace.

use std::{
    fs::File,
    io::{self, Read as _},
    os::fd::{AsRawFd as _, BorrowedFd, OwnedFd},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use nix::sched::{CloneFlags, setns, unshare};
use rustix::{
    fs::{Mode, OFlags},
    mount::UnmountFlags,
};
use softwarecontainer_network::thread::{self, ThreadError};
use thiserror::Error;

use super::wait;

/// Why a container's namespace could not be used.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum NamespaceError {
    /// A namespace file of the container's init could not be opened.
    #[error("cannot open {}", path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The container's init has ended, and its namespaces with it.
    #[error("the container has ended")]
    Ended,
    /// The work was not done.
    #[error("cannot work in the container's mount namespace")]
    Thread(#[from] ThreadError),
    /// unshare(2) or setns(2) failed.
    #[error("cannot enter the container's mount namespace")]
    Enter(#[source] io::Error),
}

/// A container's namespaces (namespaces(7)), by its init. They are opened only while they are used:
/// nothing keeps them, and the mounts in them, after the container's end, and they cost no
/// descriptors.
#[derive(Debug, Clone)]
pub struct Namespaces {
    init: u32,
    init_pidfd: Arc<OwnedFd>,
    own_user: bool,
}

impl Namespaces {
    /// Those of process `init`, of which `init_pidfd` is a descriptor (pidfd_open(2)).
    ///
    /// `own_user` tells whether the process has a user namespace of its own.
    pub fn of_init(init: u32, init_pidfd: Arc<OwnedFd>, own_user: bool) -> Self {
        Self {
            init,
            init_pidfd,
            own_user,
        }
    }

    fn open(&self, name: &str) -> Result<OwnedFd, NamespaceError> {
        let path = PathBuf::from(format!("/proc/{}/ns/{name}", self.init));
        let opened = File::open(&path);
        // While the init runs, no other process has its number.
        if wait::ended(&self.init_pidfd, Duration::ZERO) {
            return Err(NamespaceError::Ended);
        }
        let file = opened.map_err(|source| NamespaceError::Open { path, source })?;
        Ok(file.into())
    }

    /// The network namespace.
    ///
    /// # Errors
    /// [`NamespaceError`].
    pub fn network(&self) -> Result<OwnedFd, NamespaceError> {
        self.open("net")
    }

    /// The user namespace, unless it is the agent's own.
    ///
    /// # Errors
    /// [`NamespaceError`].
    pub fn user(&self) -> Result<Option<OwnedFd>, NamespaceError> {
        self.own_user.then(|| self.open("user")).transpose()
    }

    /// Runs `work` in a thread of its own that is in the container's mount namespace, and waits for
    /// it.
    ///
    /// The thread has its own root and working directory, both the container's root, and ends
    /// afterwards.
    ///
    /// # Errors
    /// [`NamespaceError`], source setns(2).
    pub fn inside_mounts<T, F>(&self, work: F) -> Result<T, NamespaceError>
    where
        T: Send,
        F: FnOnce(&Inside) -> T + Send,
    {
        const TASKS: &str = "/proc/self/task";
        let tasks = File::open(TASKS).map_err(|source| NamespaceError::Open {
            path: TASKS.into(),
            source,
        })?;
        let namespace = self.open("mnt")?;
        thread::in_own("mounts", || {
            let enter = |errno: nix::Error| NamespaceError::Enter(errno.into());
            let task = rustix::thread::gettid().as_raw_nonzero().to_string();
            let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
            let task = rustix::fs::openat(&tasks, task, flags, Mode::empty())
                .map_err(|errno| NamespaceError::Enter(errno.into()))?;
            unshare(CloneFlags::CLONE_FS).map_err(enter)?;
            setns(&namespace, CloneFlags::CLONE_NEWNS).map_err(enter)?;
            Ok(work(&Inside { task }))
        })
    }
}

/// A thread in a container's mount namespace.
#[derive(Debug)]
pub struct Inside {
    /// The thread's directory in the host's `/proc`: the container's is not to be believed.
    task: OwnedFd,
}

impl Inside {
    /// The container's root.
    pub fn root(&self) -> &'static Path {
        Path::new("/")
    }

    /// The list of mounts in the container (proc_pid_mountinfo(5)).
    ///
    /// # Errors
    /// From openat(2) or read(2).
    pub fn mountinfo(&self) -> io::Result<Vec<u8>> {
        let flags = OFlags::RDONLY | OFlags::CLOEXEC;
        let file = rustix::fs::openat(&self.task, c"mountinfo", flags, Mode::empty())?;
        let mut list = Vec::new();
        File::from(file).read_to_end(&mut list)?;
        Ok(list)
    }

    /// Detaches the mount that `root`, a descriptor of its root, belongs to: that one, whatever has
    /// become of its name. (umount2(2) takes no descriptor, but a path that leads through one.)
    ///
    /// # Errors
    /// From umount2(2).
    pub fn unmount(&self, root: BorrowedFd<'_>) -> rustix::io::Result<()> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let descriptors = rustix::fs::openat(&self.task, c"fd", flags, Mode::empty())?;
        // The thread's working directory is its own.
        rustix::process::fchdir(&descriptors)?;
        rustix::mount::unmount(root.as_raw_fd().to_string(), UnmountFlags::DETACH)
    }
}
