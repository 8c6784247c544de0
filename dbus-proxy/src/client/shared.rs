//! What the supervising thread and callers share: what shall be served, and the process that does.

use std::{
    hash::{BuildHasher as _, RandomState},
    io::{self, IoSlice},
    net::Shutdown,
    os::{fd::BorrowedFd, unix::net::UnixStream},
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags};

use super::{
    left::Present,
    options::{Services, service},
    process::SocketIdentity,
};
use crate::control::{Bus, ControlLine, rule_line};

/// Longest time that the proxy may take to read what we write.
const WRITE_TIME: Duration = Duration::from_secs(2);

/// What the thread and callers share.
#[derive(Debug)]
pub(super) struct Shared {
    state: Mutex<State>,
    pub(super) changed: Condvar,
}

#[derive(Debug)]
pub(super) struct State {
    /// What shall be served.
    pub(super) services: Services,
    process: Option<Attached>,
    pub(super) sent: u64,
    pub(super) acknowledged: u64,
    pub(super) last_error: Option<String>,
    pub(super) stopping: bool,
}

/// The process that lives now.
#[derive(Debug)]
struct Attached {
    pid: u32,
    /// Our end of its control socket.
    control: UnixStream,
    /// The buses' sockets that it can see.
    sockets: [SocketIdentity; 2],
    /// Whether it has got the listening sockets.
    listening: [bool; 2],
    /// What it is to say before it is told anything: what it says before that is for another agent.
    awaited: Option<u64>,
}

impl Shared {
    /// `services` are what a process is told once it is there.
    pub(super) fn new(services: Services) -> Self {
        let sent = u64::from(services.iter().any(Option::is_some));
        Self {
            state: Mutex::new(State {
                services,
                process: None,
                sent,
                acknowledged: 0,
                last_error: None,
                stopping: false,
            }),
            changed: Condvar::new(),
        }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing panics while holding it; if something did, the state would still be usable.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Sends what shall be served and returns the number of the acknowledgement to wait for. What
    /// cannot be sent now is sent to the next process.
    pub(super) fn send(&mut self) -> u64 {
        self.sent += 1;
        self.send_or_restart();
        self.sent
    }

    fn send_or_restart(&mut self) {
        if self.sent > 0 && self.send_services().is_err() {
            self.restart();
        }
    }

    /// Takes a new process, and sends what was to be served so far.
    ///
    /// # Errors
    /// dup(2), setsockopt(2)
    pub(super) fn attach(
        &mut self,
        pid: u32,
        control: &UnixStream,
        sockets: [SocketIdentity; 2],
    ) -> io::Result<()> {
        self.process = Some(Attached::new(pid, control, sockets)?);
        self.send_or_restart();
        if self.stopping {
            self.restart();
        }
        Ok(())
    }

    /// Takes a process that has served another agent.
    ///
    /// # Errors
    /// dup(2), setsockopt(2)
    pub(super) fn attach_left(
        &mut self,
        pid: u32,
        control: &UnixStream,
        sockets: [SocketIdentity; 2],
    ) -> io::Result<()> {
        let number = RandomState::new().hash_one(pid);
        let mut process = Attached::new(pid, control, sockets)?;
        process.awaited = Some(number);
        let text = format!("\n{}", ControlLine::Anew(number));
        let sent = send_all(&process.control, text.as_bytes(), &[]);
        self.process = Some(process);
        if sent.is_err() {
            self.restart();
        }
        Ok(())
    }

    /// The process is ready for us if it says the right `number`.
    pub(super) fn begun_anew(&mut self, number: u64) {
        let process = self.process.as_mut();
        let awaited = process.and_then(|process| process.awaited.take_if(|it| *it == number));
        if awaited.is_some() {
            self.send_or_restart();
        }
    }

    /// What was sent up to this `number` is in force.
    pub(super) fn done(&mut self, number: u64) {
        let of_us = |process: &Attached| process.awaited.is_none();
        if self.process.as_ref().is_some_and(of_us) {
            self.acknowledged = number.min(self.sent);
        }
    }

    /// The process ID, and the buses' sockets that it can see.
    pub(super) fn process(&self) -> Option<(u32, [SocketIdentity; 2])> {
        let process = self.process.as_ref()?;
        Some((process.pid, process.sockets))
    }

    /// What is to be kept of the process.
    ///
    /// # Errors
    /// dup(2)
    pub(super) fn present(&self) -> io::Result<Option<Present>> {
        let process = self.process.as_ref();
        let present = process.map(|process| {
            Ok(Present {
                pid: process.pid,
                control: process.control.try_clone()?.into(),
                sockets: process.sockets,
            })
        });
        present.transpose()
    }

    fn send_services(&mut self) -> io::Result<()> {
        let Some(process) = self.process.as_mut().filter(|it| it.awaited.is_none()) else {
            return Ok(());
        };
        let mut text = String::new();
        let mut listeners: Vec<BorrowedFd<'_>> = Vec::new();
        for (bus, listening) in Bus::ALL.into_iter().zip(&mut process.listening) {
            match service(&self.services, bus) {
                Some(service) => {
                    let rules = service.rules.iter();
                    text += &ControlLine::Bus(bus, rules.len()).to_string();
                    text.extend(rules.map(rule_line));
                    if !std::mem::replace(listening, true) {
                        listeners.push(service.listener());
                    }
                }
                None => {
                    *listening = false;
                    text += &ControlLine::Off(bus).to_string();
                }
            }
        }
        text += &ControlLine::Sync(self.sent).to_string();
        send_all(&process.control, text.as_bytes(), &listeners)
    }

    /// Ends the present process; the supervisor then starts another one.
    pub(super) fn restart(&mut self) {
        if let Some(process) = self.process.take() {
            // Fails only if it has been closed already.
            let _ = process.control.shutdown(Shutdown::Both);
        }
    }

    pub(super) fn stop(&mut self) {
        self.stopping = true;
        self.restart();
    }
}

impl Attached {
    fn new(pid: u32, control: &UnixStream, sockets: [SocketIdentity; 2]) -> io::Result<Self> {
        let control = control.try_clone()?;
        control.set_write_timeout(Some(WRITE_TIME))?;
        Ok(Self {
            pid,
            control,
            sockets,
            listening: [false; 2],
            awaited: None,
        })
    }
}

fn send_all(control: &UnixStream, bytes: &[u8], fds: &[BorrowedFd<'_>]) -> io::Result<()> {
    let mut space = [std::mem::MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(2))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    if !fds.is_empty() {
        ancillary.push(SendAncillaryMessage::ScmRights(fds));
    }
    let mut rest = bytes;
    while !rest.is_empty() {
        let sent = rustix::net::sendmsg(
            control,
            &[IoSlice::new(rest)],
            &mut ancillary,
            SendFlags::NOSIGNAL,
        );
        match sent {
            Ok(sent) => rest = rest.get(sent..).unwrap_or_default(),
            Err(rustix::io::Errno::INTR) => continue,
            Err(error) => return Err(error.into()),
        }
        ancillary.clear();
    }
    Ok(())
}
