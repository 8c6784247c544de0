//! What the supervising thread and callers share: what shall be served, and the process that does.

use std::{
    io::{self, IoSlice},
    net::Shutdown,
    os::{fd::BorrowedFd, unix::net::UnixStream},
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags};

use super::options::{Services, service};
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
    /// Our end of the control socket of the process that lives now.
    control: Option<UnixStream>,
    /// Whether this process has got the listening sockets.
    listening: [bool; 2],
    pub(super) sent: u64,
    pub(super) acknowledged: u64,
    pub(super) pid: Option<u32>,
    pub(super) last_error: Option<String>,
    pub(super) stopping: bool,
}

impl Shared {
    pub(super) fn new() -> Self {
        Self {
            state: Mutex::new(State {
                services: [None, None],
                control: None,
                listening: [false; 2],
                sent: 0,
                acknowledged: 0,
                pid: None,
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
        if self.control.is_some() && self.send_services().is_err() {
            self.restart();
        }
        self.sent
    }

    /// Takes a new process with this `control` socket and sends what was to be served so far.
    ///
    /// # Errors
    /// dup(2), setsockopt(2)
    pub(super) fn attach(&mut self, control: &UnixStream, pid: u32) -> io::Result<()> {
        let writer = control.try_clone()?;
        writer.set_write_timeout(Some(WRITE_TIME))?;
        self.control = Some(writer);
        self.pid = Some(pid);
        self.listening = [false; 2];
        let unsent = self.sent > 0 && self.send_services().is_err();
        if self.stopping || unsent {
            self.restart();
        }
        Ok(())
    }

    fn send_services(&mut self) -> io::Result<()> {
        let Some(control) = &self.control else {
            return Ok(());
        };
        let mut text = String::new();
        let mut listeners: Vec<BorrowedFd<'_>> = Vec::new();
        for bus in Bus::ALL {
            let Some(listening) = self.listening.get_mut(bus.index()) else {
                continue;
            };
            match service(&self.services, bus) {
                Some(service) => {
                    let rules = service.rules.iter();
                    text += &ControlLine::Bus(bus, rules.len()).to_string();
                    text.extend(rules.map(rule_line));
                    if !std::mem::replace(listening, true) {
                        listeners.push(service.listener());
                    }
                }
                None if std::mem::take(listening) => text += &ControlLine::Off(bus).to_string(),
                None => {}
            }
        }
        text += &ControlLine::Sync(self.sent).to_string();
        send_all(control, text.as_bytes(), &listeners)
    }

    /// Ends the present process; the supervisor then starts another one.
    pub(super) fn restart(&mut self) {
        if let Some(control) = self.control.take() {
            // Fails only if it has been closed already.
            let _ = control.shutdown(Shutdown::Both);
        }
    }

    pub(super) fn stop(&mut self) {
        self.stopping = true;
        self.restart();
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
