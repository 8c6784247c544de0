//! The namespaces of a running container, and work inside its mount namespace.

use std::{
    fs::File,
    io::{self, Read as _},
    os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, OwnedFd},
    path::{Path, PathBuf},
};

use nix::sched::{CloneFlags, setns, unshare};
use rustix::{
    fs::{Mode, OFlags},
    mount::UnmountFlags,
};
use softwarecontainer_network::thread::{self, ThreadError};
use thiserror::Error;

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
    /// The work was not done.
    #[error("cannot work in the container's mount namespace")]
    Thread(#[from] ThreadError),
    /// unshare(2) or setns(2) failed.
    #[error("cannot enter the container's mount namespace")]
    Enter(#[source] io::Error),
}

/// Descriptors of a container's namespaces (namespaces(7)). They keep the namespaces alive: drop
/// them before the container's mounts go.
#[derive(Debug)]
pub struct Namespaces {
    mount: OwnedFd,
    network: OwnedFd,
    user: Option<OwnedFd>,
}

impl Namespaces {
    /// Opens the namespaces of process `pid`, which must not have been reaped before this returns.
    ///
    /// `own_user` tells whether the process has a user namespace of its own.
    ///
    /// # Errors
    /// [`NamespaceError::Open`].
    pub fn of_process(pid: u32, own_user: bool) -> Result<Self, NamespaceError> {
        let open = |name: &str| {
            let path = PathBuf::from(format!("/proc/{pid}/ns/{name}"));
            match File::open(&path) {
                Ok(file) => Ok(OwnedFd::from(file)),
                Err(source) => Err(NamespaceError::Open { path, source }),
            }
        };
        Ok(Self {
            mount: open("mnt")?,
            network: open("net")?,
            user: own_user.then(|| open("user")).transpose()?,
        })
    }

    /// The network namespace.
    pub fn network(&self) -> BorrowedFd<'_> {
        self.network.as_fd()
    }

    /// The user namespace, unless it is the agent's own.
    pub fn user(&self) -> Option<BorrowedFd<'_>> {
        self.user.as_ref().map(|user| user.as_fd())
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
        thread::in_own("mounts", || {
            let enter = |errno: nix::Error| NamespaceError::Enter(errno.into());
            let task = rustix::thread::gettid().as_raw_nonzero().to_string();
            let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
            let task = rustix::fs::openat(&tasks, task, flags, Mode::empty())
                .map_err(|errno| NamespaceError::Enter(errno.into()))?;
            unshare(CloneFlags::CLONE_FS).map_err(enter)?;
            setns(&self.mount, CloneFlags::CLONE_NEWNS).map_err(enter)?;
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
