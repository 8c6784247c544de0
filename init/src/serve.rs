//! The init at work: it starts what the agent asks for, and reaps every process that ends.

use std::{
    collections::{BTreeMap, HashMap},
    ffi::OsStr,
    os::{
        fd::{AsFd as _, OwnedFd},
        unix::ffi::OsStrExt as _,
    },
};

use nix::sys::signalfd::SignalFd;

use crate::{
    error::InitError,
    listeners::Listeners,
    protocol::{Command, Kind, Message, TERMINAL},
    spawn::{Child, Streams, given},
    sys,
};

/// Connects to the agent's `socket` (`-`: standard input is the connection) and serves until told
/// to end, or until the agent is gone. With `landlock` it and all that it starts are kept from what
/// nothing in a container does, where the kernel can.
///
/// The process must have one thread, and no descriptors but its standard streams that a new process
/// could inherit.
///
/// # Errors
/// [`InitError`].
pub fn serve(socket: &OsStr, landlock: bool) -> Result<(), InitError> {
    Init::connect(socket, landlock).and_then(Init::run)
}

/// How many ends are remembered that the agent has not said to be told.
const UNTOLD: usize = 4096;

/// The first process of a container at work.
struct Init {
    agent: OwnedFd,
    /// Standard input of new processes.
    null: OwnedFd,
    /// The nice value of new processes: this one's own before the agent has changed it.
    nice: i32,
    signals: SignalFd,
    /// The agent's number of each running process that it asked for.
    processes: HashMap<i32, u32>,
    /// Wait statuses by the agent's number, until they are told: this agent may end before, and the
    /// next one has to know them.
    ended: BTreeMap<u32, i32>,
    listeners: Listeners,
    ending: bool,
}

impl Init {
    fn connect(socket: &OsStr, landlock: bool) -> Result<Self, InitError> {
        // Nothing in the container may trace this process or open its descriptors through /proc.
        sys::forbid_tracing().map_err(InitError::Tracing)?;
        let nice = sys::nice().map_err(InitError::Priority)?;
        let signals = sys::child_signals().map_err(InitError::Signals)?;
        let null = sys::open_null().map_err(InitError::Null)?;
        // The second init of a container gets its connection instead of connecting.
        let is_second = socket.as_bytes() == b"-";
        if landlock {
            sys::restrict(!is_second).map_err(InitError::Landlock)?;
        }
        let connected = if is_second {
            // Nothing was executed, which would have taken these.
            sys::keep_bounding_set().map_err(InitError::Capabilities)?;
            sys::connection_on_stdin(&null)
        } else {
            sys::connect(socket)
        };
        let agent = connected.map_err(|source| InitError::Connect {
            socket: socket.to_owned(),
            source,
        })?;
        Ok(Self {
            agent,
            null,
            nice,
            signals,
            processes: HashMap::new(),
            ended: BTreeMap::new(),
            listeners: Listeners::default(),
            ending: false,
        })
    }

    fn run(mut self) -> Result<(), InitError> {
        loop {
            let own = [self.agent.as_fd(), self.signals.as_fd()];
            let sources = own.into_iter().chain(self.listeners.sources());
            let ready = sys::wait_readable(sources).map_err(InitError::Wait)?;
            let [from_agent, signalled, listeners @ ..] = ready.as_slice() else {
                continue;
            };
            for denial in self.listeners.serve(listeners) {
                self.tell(Message {
                    kind: Kind::Denied,
                    process: denial.process,
                    value: denial.call.to_value(),
                })?;
            }
            if *signalled {
                sys::clear_signals(&self.signals).map_err(InitError::Wait)?;
                let any_left = self.reap()?;
                if self.ending && !any_left {
                    return Ok(());
                }
            }
            if *from_agent && !self.serve()? {
                return Ok(());
            }
        }
    }

    /// Handles one packet; false when it is time to end.
    fn serve(&mut self) -> Result<bool, InitError> {
        let Some((bytes, descriptors)) = sys::receive(&self.agent).map_err(InitError::Agent)?
        else {
            return Ok(false);
        };
        match Message::decode(&bytes) {
            Some(Message {
                kind: Kind::Spawn,
                process,
                value,
            }) => self.spawn(process, value, descriptors)?,
            Some(Message {
                kind: Kind::Terminate,
                ..
            }) => {
                self.ending = true;
                sys::terminate_all();
                return self.reap();
            }
            Some(Message {
                kind: Kind::Abandon,
                process,
                ..
            }) => self.signal(process, libc::SIGKILL),
            Some(Message {
                kind: Kind::Signal,
                process,
                value,
            }) => self.signal(process, value),
            Some(Message {
                kind: Kind::Told,
                process,
                ..
            }) => {
                self.ended.remove(&process);
            }
            Some(Message {
                kind: Kind::TakeOver,
                process,
                ..
            }) => self.take_over(process)?,
            _ => {}
        }
        Ok(true)
    }

    fn spawn(
        &mut self,
        process: u32,
        streams: i32,
        descriptors: Vec<OwnedFd>,
    ) -> Result<(), InitError> {
        let failed = |errno| Message {
            kind: Kind::Failed,
            process,
            value: errno,
        };
        let mut descriptors = descriptors.into_iter();
        let (Some(request), Some(release)) = (descriptors.next(), descriptors.next()) else {
            return self.tell(failed(libc::EBADF));
        };
        let Some(given) = given(streams, descriptors) else {
            return self.tell(failed(libc::EBADF));
        };
        let streams = Streams {
            descriptors: given.each_ref().map(|it| it.as_ref().unwrap_or(&self.null)),
            is_terminal: streams & TERMINAL != 0,
        };
        let command = sys::read_whole(request)
            .ok()
            .and_then(|bytes| Command::decode(&bytes));
        let Some(command) = command else {
            return self.tell(failed(libc::EINVAL));
        };
        // Without one the process is confined all the same, but nobody is told what it tries.
        let handover = command.confinement.calls.listen.then(sys::handover);
        let (ours, theirs) = handover.and_then(Result::ok).unzip();
        let child = Child {
            command: &command,
            streams,
            agent: &self.agent,
            nice: self.nice,
            release: &release,
            process,
            init: theirs.as_ref(),
        };
        match child.fork() {
            Ok(pid) => {
                if let Some(ours) = ours {
                    let answers = &command.confinement.calls.answers;
                    self.listeners.expect(process, ours, answers);
                }
                self.processes.insert(pid, process);
                Ok(())
            }
            Err(error) => self.tell(failed(error.raw_os_error().unwrap_or(libc::EAGAIN))),
        }
    }

    /// Sends a signal to a process. Its ID is its own until it is reaped here.
    fn signal(&self, process: u32, signal: i32) {
        let started = self
            .processes
            .iter()
            .find(|(_, number)| **number == process);
        if let Some((pid, _)) = started {
            sys::signal(*pid, signal);
        }
    }

    /// Tells another agent what there is, and ends what it does not know.
    fn take_over(&mut self, first_unknown: u32) -> Result<(), InitError> {
        self.ended.split_off(&first_unknown);
        for (&process, &status) in &self.ended {
            self.tell(Message {
                kind: Kind::Exited,
                process,
                value: status,
            })?;
        }
        for (&pid, &process) in &self.processes {
            if process >= first_unknown {
                sys::signal(pid, libc::SIGKILL);
                continue;
            }
            self.tell(Message {
                kind: Kind::Running,
                process,
                value: 0,
            })?;
        }
        self.tell(Message {
            kind: Kind::TakenOver,
            process: 0,
            value: 0,
        })
    }

    fn tell(&self, message: Message) -> Result<(), InitError> {
        sys::send(&self.agent, message).map_err(InitError::Agent)
    }

    /// Reaps what has ended; whether any process is left.
    fn reap(&mut self) -> Result<bool, InitError> {
        loop {
            match sys::reap_one().map_err(InitError::Reap)? {
                sys::Reaped::Ended { pid, status } => {
                    if let Some(process) = self.processes.remove(&pid) {
                        self.ended.insert(process, status);
                        if self.ended.len() > UNTOLD {
                            self.ended.pop_first();
                        }
                        self.tell(Message {
                            kind: Kind::Exited,
                            process,
                            value: status,
                        })?;
                    }
                }
                sys::Reaped::NoneEnded => return Ok(true),
                sys::Reaped::NoneLeft => return Ok(false),
            }
        }
    }
}
