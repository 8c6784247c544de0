//! The agent's end of the connection to a container's init.

use std::{
    collections::BTreeMap,
    fs::{self, File, Permissions},
    io::{self, IoSlice, IoSliceMut, PipeWriter, Write as _},
    os::{
        fd::{AsFd as _, AsRawFd as _, BorrowedFd, OwnedFd},
        unix::fs::PermissionsExt as _,
    },
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use nix::{
    cmsg_space,
    errno::Errno,
    poll::PollFlags,
    sys::socket::{
        AddressFamily, Backlog, ControlMessage, ControlMessageOwned, MsgFlags, SockFlag, SockType,
        UnixAddr, UnixCredentials, accept4, bind, getsockopt, listen, recvmsg, send, sendmsg,
        setsockopt, socket,
        sockopt::{PassCred, PeerCredentials},
    },
};
use rustix::process::{Signal, pidfd_send_signal};
use smol::{Async, Executor};
use softwarecontainer_init::{Call, Command, Kind, Message};

use super::{
    processes::{Number, Processes, StartFailure},
    streams::Streams,
};
use crate::host::wait;

/// How long a start may take in a container that is held up; less than D-Bus clients wait.
const PATIENCE: Duration = Duration::from_secs(20);
/// How often it is looked whether it is still held up.
const LOOK: Duration = Duration::from_secs(1);
/// How many packets are handled before other tasks get their turn.
const BURST: usize = 32;

/// The socket that a container's init connects to, before it does.
#[derive(Debug)]
pub struct Listener {
    socket: OwnedFd,
    path: PathBuf,
}

impl Listener {
    /// Binds the socket at `path`; only `owner` (and root) may connect.
    ///
    /// # Errors
    /// The system's.
    pub fn bind(path: &Path, owner: u32) -> io::Result<Self> {
        let flags = SockFlag::SOCK_CLOEXEC;
        let socket = socket(AddressFamily::Unix, SockType::SeqPacket, flags, None)?;
        // Set before anybody connects, so that no packet can come without credentials.
        setsockopt(&socket, PassCred, &true)?;
        bind(socket.as_raw_fd(), &UnixAddr::new(path)?)?;
        fs::set_permissions(path, Permissions::from_mode(0o600))?;
        std::os::unix::fs::lchown(path, Some(owner), Some(owner))?;
        listen(&socket, Backlog::new(1)?)?;
        Ok(Self {
            socket,
            path: path.to_owned(),
        })
    }

    /// Accepts the connection of the container's init, within `limit`, and closes the socket for
    /// everybody else. Nobody else can reach it, except root; the init's process ID is what the
    /// kernel says.
    ///
    /// # Errors
    /// The system's; `TimedOut` when it does not come in time, `PermissionDenied` when another
    /// process comes.
    pub fn accept(self, limit: Duration) -> io::Result<(OwnedFd, u32)> {
        wait::ready_in_time(self.socket.as_fd(), PollFlags::POLLIN, limit)?;
        let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
        let raw = accept4(self.socket.as_raw_fd(), flags)?;
        let connection = crate::host::sys::own(raw);
        let peer = getsockopt(&connection, PeerCredentials)?.pid();
        match u32::try_from(peer) {
            Ok(init) if is_first_of_namespace(init) => Ok((connection, init)),
            _ => Err(io::Error::new(
                io::ErrorKind::PermissionDenied,
                format!("process {peer}, which is not the container's init, connected"),
            )),
        }
    }
}

/// The init at the other end, by the process ID that it has or had.
///
/// # Errors
/// The system's, if it is no connection to an init.
pub fn init_of(connection: &OwnedFd) -> io::Result<u32> {
    let peer = getsockopt(connection, PeerCredentials)?.pid();
    u32::try_from(peer)
        .ok()
        .filter(|init| is_first_of_namespace(*init))
        .ok_or(io::ErrorKind::NotFound.into())
}

/// Whether a process is the first one of a PID namespace in ours (proc_pid_status(5), `NSpid`).
fn is_first_of_namespace(pid: u32) -> bool {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let ids = status.lines().find_map(|line| line.strip_prefix("NSpid:"));
    let ids: Vec<_> = ids.into_iter().flat_map(str::split_whitespace).collect();
    ids.len() > 1 && ids.last() == Some(&"1")
}

impl Drop for Listener {
    fn drop(&mut self) {
        // It may be gone together with its directory.
        let _ = fs::remove_file(&self.path);
    }
}

/// The connection to a container's init.
#[derive(Debug)]
pub struct InitLink {
    connection: Arc<Async<OwnedFd>>,
    processes: Arc<Processes>,
    /// Closed once the init is gone.
    gone: smol::channel::Receiver<()>,
}

impl InitLink {
    /// Takes over `connection`, and hears what the init says in a task on `executor` for as long as
    /// the init lives. `first` is the container's first process, which is ended when what is heard
    /// is not what an init says.
    ///
    /// # Errors
    /// The system's, when the connection cannot be watched.
    pub fn new(
        connection: OwnedFd,
        processes: Arc<Processes>,
        first: Arc<OwnedFd>,
        executor: &Executor<'static>,
    ) -> io::Result<Self> {
        let connection = Arc::new(Async::new_nonblocking(connection)?);
        let (alive, gone) = smol::channel::bounded(1);
        let told = Arc::downgrade(&connection);
        processes.on_forget(move |number| {
            if let Some(connection) = told.upgrade() {
                let message = Message {
                    kind: Kind::Told,
                    process: number,
                    value: 0,
                };
                // An init that does not get it remembers the end for nothing.
                let _ = try_send(connection.as_fd(), message, &[]);
            }
        });
        let task = hear(connection.clone(), processes.clone(), first);
        executor
            .spawn(async move {
                task.await;
                drop(alive);
            })
            .detach();
        Ok(Self {
            connection,
            processes,
            gone,
        })
    }

    /// Goes on where an earlier agent has left off, which knew of no process from number `unknown`
    /// on. A frozen container answers once it is thawed.
    ///
    /// # Errors
    /// The system's.
    pub fn take_over(&self, unknown: Number, limit: Duration) -> io::Result<()> {
        let message = Message {
            kind: Kind::TakeOver,
            process: unknown,
            value: 0,
        };
        self.send(message, &[], limit)
    }

    /// The connection itself.
    pub fn descriptor(&self) -> BorrowedFd<'_> {
        self.connection.as_fd()
    }

    /// The processes started over this connection.
    pub fn processes(&self) -> &Arc<Processes> {
        &self.processes
    }

    /// Starts `command` with its standard `streams`. Blocks
    /// `limit`, and again as long as `is_held_up` says that something keeps the container from
    /// getting anywhere, [`PATIENCE`] at most.
    ///
    /// # Errors
    /// [`SpawnError`].
    pub fn spawn(
        &self,
        command: &Command,
        streams: &Streams,
        limit: Duration,
        mut is_held_up: impl FnMut() -> bool,
    ) -> Result<Started, SpawnError> {
        let request = request_file(command).map_err(SpawnError::Send)?;
        let (released, release) = io::pipe().map_err(SpawnError::Send)?;
        let (number, outcome) = self.processes.expect();
        let message = Message {
            kind: Kind::Spawn,
            process: number,
            value: streams.value(),
        };
        let own = [request.as_fd(), released.as_fd()];
        let descriptors = own.into_iter().chain(streams.descriptors());
        let descriptors: Vec<_> = descriptors.map(|fd| fd.as_raw_fd()).collect();
        let sent = self.send(message, &descriptors, limit);
        if let Err(error) = sent {
            self.processes
                .refused(number, StartFailure::Failed(libc::EIO));
            return Err(SpawnError::Send(error));
        }
        let deadline = Instant::now() + PATIENCE;
        let mut started = outcome.recv_timeout(limit);
        while started.is_err() && Instant::now() < deadline && is_held_up() {
            started = outcome.recv_timeout(LOOK);
        }
        if started.is_err() && self.processes.abandon(number) {
            // If it starts after all, nobody will know it.
            let message = Message {
                kind: Kind::Abandon,
                process: number,
                value: 0,
            };
            let _ = self.send(message, &[], limit);
            return Err(SpawnError::Start(StartFailure::Late));
        }
        // What was told while this gave up is there now.
        match started.or_else(|_| outcome.try_recv()) {
            Ok(Ok(pid)) => Ok(Started {
                number,
                pid,
                release: Release(release),
            }),
            Ok(Err(failure)) => Err(SpawnError::Start(failure)),
            Err(_) => Err(SpawnError::Start(StartFailure::InitGone)),
        }
    }

    /// Sends a signal to the process that is `pid` on the host; false if it does not run.
    ///
    /// # Errors
    /// The system's: the init cannot be reached.
    pub fn signal(&self, pid: u32, signal: i32, limit: Duration) -> io::Result<bool> {
        let Some(process) = self.processes.number(pid) else {
            return Ok(false);
        };
        let message = Message {
            kind: Kind::Signal,
            process,
            value: signal,
        };
        self.send(message, &[], limit).map(|()| true)
    }

    /// Asks the init to end every process and then itself; returns whether it was gone within
    /// `limit`.
    pub fn terminate(&self, limit: Duration) -> bool {
        let message = Message {
            kind: Kind::Terminate,
            process: 0,
            value: 0,
        };
        // An init that cannot be told any more is gone or stuck; the wait below finds out which.
        let _ = self.send(message, &[], limit);
        self.wait_gone(limit)
    }

    /// Waits until the init is gone and every end of a process is told, `limit` at most.
    pub fn wait_gone(&self, limit: Duration) -> bool {
        smol::block_on(smol::future::or(
            async {
                // Nothing is ever sent: this returns when the hearing task has ended.
                let _ = self.gone.recv().await;
                true
            },
            async {
                smol::Timer::after(limit).await;
                false
            },
        ))
    }

    /// Returns when the init is gone and every end of a process is told.
    pub fn end(&self) -> impl Future<Output = ()> + Send + 'static {
        let gone = self.gone.clone();
        async move {
            // Nothing is ever sent.
            let _ = gone.recv().await;
        }
    }

    /// Whether the init has ended or is no longer listened to.
    pub fn is_gone(&self) -> bool {
        self.gone.is_closed()
    }

    fn send(&self, message: Message, descriptors: &[i32], limit: Duration) -> io::Result<()> {
        let fd = self.connection.as_fd();
        loop {
            match try_send(fd, message, descriptors) {
                Ok(()) => return Ok(()),
                Err(Errno::EINTR) => {}
                Err(Errno::EAGAIN) => wait::ready_in_time(fd, PollFlags::POLLOUT, limit)?,
                Err(errno) => return Err(errno.into()),
            }
        }
    }
}

fn try_send(fd: BorrowedFd<'_>, message: Message, descriptors: &[i32]) -> nix::Result<()> {
    let flags = MsgFlags::MSG_NOSIGNAL | MsgFlags::MSG_DONTWAIT;
    let bytes = message.encode();
    let sent = if descriptors.is_empty() {
        send(fd.as_raw_fd(), &bytes, flags)
    } else {
        let parts = [IoSlice::new(&bytes)];
        let rights = [ControlMessage::ScmRights(descriptors)];
        sendmsg::<()>(fd.as_raw_fd(), &parts, &rights, flags, None)
    };
    sent.map(drop)
}

/// The ends that the init of a container that cannot be gone on with has told and nobody has heard,
/// by the process's number.
pub fn unheard_ends(connection: &OwnedFd) -> BTreeMap<Number, i32> {
    let mut ends = BTreeMap::new();
    while let Ok(Some((message, _))) = receive(connection) {
        if message.kind == Kind::Exited {
            ends.insert(message.process, message.value);
        }
    }
    ends
}

/// A process that exists.
#[derive(Debug)]
pub struct Started {
    /// Its number.
    pub number: Number,
    /// Its ID on the host.
    pub pid: u32,
    /// What it waits for before it executes its program.
    pub release: Release,
}

/// Lets a process execute its program. It ends when this is dropped.
#[derive(Debug)]
pub struct Release(PipeWriter);

impl Release {
    /// Lets it go on.
    pub fn go_on(mut self) {
        // An error means that it has ended.
        let _ = self.0.write_all(&[1]);
    }
}

/// Why a process could not be started.
#[derive(Debug)]
#[non_exhaustive]
pub enum SpawnError {
    /// The request could not be handed to the init.
    Send(io::Error),
    /// The init or the new process said why.
    Start(StartFailure),
}

fn request_file(command: &Command) -> io::Result<File> {
    let flags = rustix::fs::MemfdFlags::CLOEXEC;
    let mut file = File::from(rustix::fs::memfd_create(c"spawn", flags)?);
    file.write_all(&command.encode())?;
    Ok(file)
}

/// Hears an init until it is gone or breaks the protocol.
async fn hear(connection: Arc<Async<OwnedFd>>, processes: Arc<Processes>, first: Arc<OwnedFd>) {
    if let Err(violation) = serve(&connection, &processes).await {
        log::warn!("a container's init {violation}: the container is ended");
        // An error means that it has ended. With it ends every process of the container, so what
        // is reported below is so.
        let _ = pidfd_send_signal(&first, Signal::KILL);
        if let Ok(first) = first.try_clone().and_then(Async::new_nonblocking) {
            let _ = first.readable().await;
        }
    }
    processes.all_gone();
}

/// # Errors
/// What the init did that no init does.
async fn serve(connection: &Async<OwnedFd>, processes: &Processes) -> Result<(), &'static str> {
    loop {
        for _ in 0..BURST {
            match connection.read_with(receive).await {
                Ok(Some(packet)) if handle(packet, processes) => {}
                Ok(Some(_)) => return Err("sent what no init sends"),
                Ok(None) => return Ok(()),
                // It has ended with packets of ours unread.
                Err(error) if error.kind() == io::ErrorKind::ConnectionReset => return Ok(()),
                Err(_) => return Err("sent what is no packet"),
            }
        }
        smol::future::yield_now().await;
    }
}

fn handle((message, sender): (Message, u32), processes: &Processes) -> bool {
    let (number, value) = (message.process, message.value);
    match message.kind {
        Kind::Started => processes.started(number, sender),
        Kind::Failed => processes.refused(number, StartFailure::Failed(value)),
        Kind::NoDirectory => processes.refused(number, StartFailure::NoDirectory(value)),
        Kind::Exited => {
            processes.ended(number, value);
            true
        }
        Kind::Denied => {
            processes.denied(number, Call::from_value(value));
            true
        }
        Kind::Running => {
            processes.runs(number);
            true
        }
        Kind::TakenOver => {
            processes.taken_over();
            true
        }
        _ => false,
    }
}

/// One packet with the process ID of its sender; `None` at the end. There is no room for
/// descriptors, so the kernel drops any.
fn receive(connection: &OwnedFd) -> io::Result<Option<(Message, u32)>> {
    let mut bytes = [0; Message::SIZE + 1];
    let mut space = cmsg_space!(UnixCredentials);
    let (size, sender) = {
        let mut parts = [IoSliceMut::new(&mut bytes)];
        let flags = MsgFlags::MSG_CMSG_CLOEXEC;
        let packet = recvmsg::<()>(connection.as_raw_fd(), &mut parts, Some(&mut space), flags)?;
        let credentials = packet.cmsgs().ok().and_then(|mut all| {
            all.find_map(|message| match message {
                ControlMessageOwned::ScmCredentials(credentials) => Some(credentials),
                _ => None,
            })
        });
        (packet.bytes, credentials)
    };
    if size == 0 {
        return Ok(None);
    }
    let sender = sender.and_then(|sender| u32::try_from(sender.pid()).ok());
    match (
        Message::decode(bytes.get(..size).unwrap_or_default()),
        sender,
    ) {
        (Some(message), Some(sender)) => Ok(Some((message, sender))),
        _ => Err(io::ErrorKind::InvalidData.into()),
    }
}
