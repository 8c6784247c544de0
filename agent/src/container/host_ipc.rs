//! Processes of a container that are in the host's IPC namespace (ipc_namespaces(7)).
//!
//! A process of the container cannot enter that namespace by itself, for it has no rights over it.
//! So a second init is started in all namespaces of the container but that one. It is in the
//! container's cgroup and has no more rights than the first one, and it starts processes in the
//! same way.
//!
//! liblxc starts it, in a process that does nothing else: the agent's own program with [`HELPER`].
//! In the agent, liblxc would leak a descriptor each time.
//!
//! An init has more than its apps may get, so no app may get at it. The helper becomes the second
//! init without executing a program: the one in the container's root tree could have been replaced
//! by an app, and after an exec any program can be traced until it forbids that. Its program file
//! therefore is the host's, and an app can execute that (as `/proc/self/exe` of a process that is
//! just being started): it is executed through a mount that is read-only, so that not even root can
//! change the file there.

use std::{
    ffi::{OsStr, OsString},
    fs, io,
    os::fd::{AsRawFd as _, OwnedFd},
    path::Path,
    process::Command,
    sync::Arc,
    time::Duration,
};

use nix::sys::socket::{
    AddressFamily, SockFlag, SockType, setsockopt, socketpair, sockopt::PassCred,
};
use rustix::process::DumpableBehavior;
use smol::Executor;
use softwarecontainer_init::WITHOUT_LANDLOCK;
use softwarecontainer_lxc as lxc;

use super::{
    init_link::InitLink,
    processes::{Number, Processes},
};
use crate::host::{
    cgroup::{members::pidfd, memory},
    descriptor_store::Shelf,
    mount::DetachedMount,
    wait,
};

/// The agent's first argument when it is to start a second init: not an option, and followed by
/// LXC's path and the container's name.
pub const HELPER: &str = "start-init-in-host-ipc";
/// How long liblxc may take.
const HELPER_LIMIT: Duration = Duration::from_secs(10);
/// All namespaces of a container but that of IPC.
const NAMESPACES: i32 = libc::CLONE_NEWCGROUP
    | libc::CLONE_NEWNET
    | libc::CLONE_NEWNS
    | libc::CLONE_NEWPID
    | libc::CLONE_NEWUSER
    | libc::CLONE_NEWUTS;

/// A second init of a container, in the host's IPC namespace. It ends together with the connection.
#[derive(Debug)]
pub struct HostIpc {
    /// The connection to it.
    pub link: InitLink,
    is_shelved: bool,
}

/// What the connection is called on the shelf.
const ITEM: &str = "host-ipc";

impl HostIpc {
    /// Starts it in container `name` of `lxc_path`, where the kernel can with `landlock`.
    ///
    /// # Errors
    /// The system's or liblxc's.
    pub fn start(
        lxc_path: &Path,
        name: &str,
        landlock: bool,
        processes: Arc<Processes>,
        first: Arc<OwnedFd>,
        executor: &Executor<'static>,
    ) -> io::Result<Self> {
        let (ours, theirs) = sockets()?;
        let link = InitLink::new(ours, processes, first, executor)?;
        // Attached nowhere: it goes with the last process that executes the program.
        let mut own = DetachedMount::of(Path::new("/proc/self/exe")).map_err(io::Error::other)?;
        own.make_read_only().map_err(io::Error::other)?;
        let mut helper = Command::new(format!("/proc/self/fd/{}", own.as_fd().as_raw_fd()))
            .arg(HELPER)
            .arg(lxc_path)
            .arg(name)
            .args((!landlock).then_some(WITHOUT_LANDLOCK))
            // Not the agent's streams: the second init would keep them open. Nor a device of the
            // host: liblxc changes owner and mode of what it finds here, unless it is what it finds
            // as `/dev/null` in the container, where an app decides on that.
            .stdin(theirs.try_clone()?)
            .stdout(theirs.try_clone()?)
            .stderr(theirs)
            .spawn()?;
        if !wait::ended(&pidfd(helper.id())?, HELPER_LIMIT) {
            helper.kill()?;
        }
        if helper.wait()?.success() {
            Ok(Self {
                link,
                is_shelved: false,
            })
        } else {
            Err(io::Error::other("liblxc could not start a second init"))
        }
    }
}

impl HostIpc {
    /// Keeps the connection for the next agent; whether there is one to go on with.
    pub fn keep(this: Option<&mut Self>, shelf: &Shelf<'_>) -> io::Result<bool> {
        let Some(this) = this.filter(|it| !it.link.is_gone()) else {
            shelf.forget(ITEM);
            return Ok(false);
        };
        if !this.is_shelved {
            shelf.keep(ITEM, this.link.descriptor())?;
            this.is_shelved = true;
        }
        Ok(true)
    }

    /// Goes on with the one that an earlier agent has started, which knew of no process from number
    /// `unknown` on.
    ///
    /// # Errors
    /// The system's; `NotFound` if its connection was not kept.
    pub fn adopt(
        shelf: &Shelf<'_>,
        (processes, unknown): (Arc<Processes>, Number),
        first: Arc<OwnedFd>,
        executor: &Executor<'static>,
        limit: Duration,
    ) -> io::Result<Self> {
        let connection = shelf.take(ITEM).ok_or(io::ErrorKind::NotFound)?;
        let link = InitLink::new(connection, processes, first, executor)?;
        link.take_over(unknown, limit)?;
        Ok(Self {
            link,
            is_shelved: true,
        })
    }
}

/// What the helper process does: starts the second init with the connection that is standard input,
/// and leaves it alone.
///
/// # Errors
/// liblxc's, or an argument is missing.
pub fn help(
    mut arguments: impl Iterator<Item = OsString>,
) -> Result<(), Box<dyn std::error::Error>> {
    let path = arguments.next().ok_or("no path of LXC")?;
    let name = arguments.next().ok_or("no container")?;
    let name = name
        .into_string()
        .map_err(|_| "the container's name is no text")?;
    let container = lxc::Container::new(&name, Some(Path::new(&path)))?;
    // Inherited: there is no moment at which the new process could be traced from inside.
    rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
    let init = container.init_pid().ok_or("the container does not run")?;
    // The agent, and so this process, is among the last ones that the kernel kills for memory.
    memory::share_preference_of(init)?;
    let without = arguments.next().is_some_and(|it| it == WITHOUT_LANDLOCK);
    let serve = if without {
        serve_without_landlock
    } else {
        serve
    };
    container.call_inside(serve, namespaces_of(init)?)?;
    Ok(())
}

/// Those of [`NAMESPACES`] to enter: not the user namespace of a container that has none of its
/// own, for nobody can enter the one that they are in.
fn namespaces_of(init: u32) -> io::Result<i32> {
    let user = |process: &str| fs::read_link(format!("/proc/{process}/ns/user"));
    Ok(if user("self")? == user(&init.to_string())? {
        NAMESPACES & !libc::CLONE_NEWUSER
    } else {
        NAMESPACES
    })
}

/// Runs in the container, until the agent's end of standard input is closed.
fn serve() -> i32 {
    i32::from(softwarecontainer_init::serve(OsStr::new("-"), true).is_err())
}

/// The same without Landlock.
fn serve_without_landlock() -> i32 {
    i32::from(softwarecontainer_init::serve(OsStr::new("-"), false).is_err())
}

fn sockets() -> io::Result<(OwnedFd, OwnedFd)> {
    let (ours, theirs) = socketpair(
        AddressFamily::Unix,
        SockType::SeqPacket,
        None,
        SockFlag::SOCK_CLOEXEC,
    )?;
    // Before the other end is given away, so that no packet can come without credentials.
    setsockopt(&ours, PassCred, &true)?;
    rustix::io::ioctl_fionbio(&ours, true)?;
    Ok((ours, theirs))
}
