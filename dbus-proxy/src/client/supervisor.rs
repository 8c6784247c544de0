//! The thread that stays with a proxy, and what it shares with callers.

use std::io::{self, IoSlice, Read};
use std::net::Shutdown;
use std::os::fd::BorrowedFd;
use std::os::unix::net::UnixStream;
use std::process::Child;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags};

use super::process::{SocketIdentity, spawn};
use super::{ClientError, Options, Services, service};
use crate::control::{Bus, Command, Event, Lines, rule_line};
use crate::limits;
use crate::pace::Pace;

/// Pause before the proxy is started again, doubled with each short life.
const FIRST_PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// A life that is not short.
const LONG_LIFE: Duration = Duration::from_secs(30);
/// Longest time that the proxy may take to read what we write.
const WRITE_TIME: Duration = Duration::from_secs(2);
/// Characters of a text of the proxy that are logged.
const LOG_LENGTH: usize = 600;
/// The thread has a short stack, for there is one for each container.
const STACK: usize = 64 * 1024;

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
    sent: u64,
    pub(super) acknowledged: u64,
    pub(super) pid: Option<u32>,
    pub(super) last_error: Option<String>,
    stopping: bool,
}

impl Shared {
    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing panics while holding it; if something did, the state would still be usable.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Sends what shall be served and returns the number of the acknowledgement to wait for. What
    /// cannot be sent now is sent to the next process.
    pub(super) fn tell(&mut self) -> u64 {
        self.sent += 1;
        if self.control.is_some() && self.send_services().is_err() {
            self.restart();
        }
        self.sent
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
                    text += &Command::Bus(bus, rules.len()).to_string();
                    text.extend(rules.map(rule_line));
                    if !std::mem::replace(listening, true) {
                        listeners.push(service.listener());
                    }
                }
                None if std::mem::take(listening) => text += &Command::Off(bus).to_string(),
                None => {}
            }
        }
        text += &Command::Sync(self.sent).to_string();
        send(control, text.as_bytes(), &listeners)
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

fn send(control: &UnixStream, bytes: &[u8], fds: &[BorrowedFd<'_>]) -> io::Result<()> {
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

/// Starts the first process and the thread.
pub(super) fn start(options: Options) -> Result<(Arc<Shared>, JoinHandle<()>), ClientError> {
    let shared = Arc::new(Shared {
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
    });
    let life = Life::start(&options, &shared)?;
    let supervisor = Supervisor {
        options,
        shared: Arc::clone(&shared),
    };
    let program = supervisor.options.program.clone();
    let thread = std::thread::Builder::new()
        .name("dbus-proxy".to_owned())
        .stack_size(STACK)
        .spawn(move || supervisor.run(life))
        // The process ends with the control socket, which went into the closure.
        .map_err(|error| ClientError::Start { program, error })?;
    Ok((shared, thread))
}

struct Supervisor {
    options: Options,
    shared: Arc<Shared>,
}

/// A process, our end of its control socket, and which buses it can see.
struct Life {
    child: Child,
    control: UnixStream,
    since: Instant,
    sockets: [SocketIdentity; 2],
}

impl Life {
    fn start(options: &Options, shared: &Shared) -> Result<Self, ClientError> {
        let sockets = Bus::ALL.map(|bus| SocketIdentity::now(options, bus));
        let (mut child, control) = spawn(options)?;
        let mut state = shared.lock();
        let writer = control.try_clone().and_then(|writer| {
            writer.set_write_timeout(Some(WRITE_TIME))?;
            Ok(writer)
        });
        match writer {
            Ok(writer) => state.control = Some(writer),
            Err(error) => {
                end(&mut child);
                let program = options.program.clone();
                return Err(ClientError::Start { program, error });
            }
        }
        state.pid = Some(child.id());
        state.listening = [false; 2];
        let untold = state.sent > 0 && state.send_services().is_err();
        if state.stopping || untold {
            state.restart();
        }
        drop(state);
        Ok(Self {
            child,
            control,
            since: Instant::now(),
            sockets,
        })
    }
}

fn end(child: &mut Child) {
    // Either fails only if the process has been reaped, and only we reap it.
    let _ = child.kill();
    let _ = child.wait();
}

impl Supervisor {
    fn run(&self, first: Life) {
        let mut life = first;
        let mut pause = FIRST_PAUSE;
        loop {
            let planned = self.listen(&mut life);
            // It has closed its socket, so it is ending anyway, or ought to.
            let _ = life.child.kill();
            let status = life.child.wait();
            let mut state = self.shared.lock();
            state.pid = None;
            state.restart();
            if state.stopping {
                return;
            }
            drop(state);
            let name = &self.options.name;
            if planned {
                log::info!("D-Bus proxy of {name}: started again for a new bus socket");
            } else {
                let status =
                    status.map_or_else(|error| error.to_string(), |status| status.to_string());
                log::warn!("D-Bus proxy of {name} ended ({status}) and is started again");
            }
            pause = if life.since.elapsed() > LONG_LIFE {
                FIRST_PAUSE
            } else {
                pause
            };
            loop {
                if !self.wait(pause) {
                    return;
                }
                pause = (pause * 2).min(LONGEST_PAUSE);
                match Life::start(&self.options, &self.shared) {
                    Ok(next) => {
                        life = next;
                        break;
                    }
                    Err(error) => {
                        log::error!("D-Bus proxy of {name}: {error}");
                        self.shared.lock().last_error = Some(error.to_string());
                    }
                }
            }
        }
    }

    /// Waits; false if the proxy is to be stopped.
    fn wait(&self, time: Duration) -> bool {
        let state = self.shared.lock();
        let woken = self
            .shared
            .changed
            .wait_timeout_while(state, time, |state| !state.stopping);
        !woken.unwrap_or_else(PoisonError::into_inner).0.stopping
    }

    /// Reads what the process says until it ends; true if it is ended because a bus has a new
    /// socket.
    fn listen(&self, life: &mut Life) -> bool {
        let mut lines = Lines::new(limits::CONTROL_LINE);
        let mut pace = Pace::default();
        let mut buffer = [0; 4096];
        loop {
            let count = match life.control.read(&mut buffer) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Ok(0) | Err(_) => return false,
                Ok(count) => count,
            };
            lines.feed(buffer.get(..count).unwrap_or_default());
            loop {
                match lines.next_line() {
                    Ok(None) => break,
                    Ok(Some(line)) => match Event::parse(line) {
                        Some(Event::Lost(bus)) if self.has_moved(bus, life) => return true,
                        event => self.handle(event, &mut pace),
                    },
                    Err(_) => return false,
                }
            }
        }
    }

    fn has_moved(&self, bus: Bus, life: &Life) -> bool {
        let before = life.sockets.get(bus.index()).copied().unwrap_or_default();
        SocketIdentity::now(&self.options, bus) != before
    }

    /// Acts on what the process says; `None` is what nobody understands. It may have been taken
    /// over by an app, or say of each of an app's connections the same.
    fn handle(&self, event: Option<Event>, pace: &mut Pace) {
        let name = &self.options.name;
        if let Some(Event::Done(number)) = event {
            let mut state = self.shared.lock();
            state.acknowledged = number.min(state.sent);
            self.shared.changed.notify_all();
            return;
        }
        if let Some(Event::Error(text)) = &event {
            self.shared.lock().last_error = Some(printable(text));
        }
        let Some(suppressed) = pace.admit() else {
            return;
        };
        if suppressed > 0 {
            log::info!("D-Bus proxy of {name}: {suppressed} similar messages were left out");
        }
        let Some(event) = event else {
            return log::warn!("D-Bus proxy of {name}: nonsense");
        };
        match event {
            Event::Done(_) => {}
            Event::Log(text) => log::info!("D-Bus proxy of {name}: {}", printable(&text)),
            Event::Lost(bus) => {
                log::warn!("D-Bus proxy of {name}: the {bus} bus cannot be reached")
            }
            Event::Error(text) => log::error!("D-Bus proxy of {name}: {}", printable(&text)),
        }
    }
}

/// The proxy handles what apps send, so what it says is not trusted with the terminal of who reads
/// the log.
fn printable(text: &str) -> String {
    text.chars()
        .take(LOG_LENGTH)
        .map(|c| if c.is_control() { '?' } else { c })
        .collect()
}
