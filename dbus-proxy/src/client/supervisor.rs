//! The thread that stays with a proxy.

use std::{
    io::{self, Read},
    os::unix::net::UnixStream,
    sync::{Arc, PoisonError},
    thread::JoinHandle,
    time::{Duration, Instant},
};

use super::{
    error::ClientError,
    left::Left,
    options::{Options, Services},
    process::{Process, SocketIdentity, spawn},
    shared::Shared,
};
use crate::{
    control::{Bus, Event, Lines},
    error_chain::error_chain,
    filter::refused,
    limits,
    log_rate::LogRate,
};

/// Pause before the proxy is started again, doubled with each short running.
const FIRST_PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// The time after which it has not ended soon.
const LONG_RUN: Duration = Duration::from_secs(30);
/// Characters of a text of the proxy that are logged.
const LOG_LENGTH: usize = 600;
/// The thread has a short stack, for there is one for each container.
const STACK: usize = 64 * 1024;

/// Starts the first process and the thread.
pub(super) fn start(options: Options) -> Result<Started, ClientError> {
    let shared = Arc::new(Shared::new([None, None]));
    let running = Running::start(&options, &shared)?;
    supervise(options, shared, running)
}

/// Goes on with a process, and starts the thread.
pub(super) fn adopt(
    options: Options,
    left: Left,
    services: Services,
) -> Result<Started, ClientError> {
    let shared = Arc::new(Shared::new(services));
    let running = Running::adopt(left, &shared).map_err(|source| ClientError::Start {
        program: options.program.clone(),
        source,
    })?;
    supervise(options, shared, running)
}

fn supervise(
    options: Options,
    shared: Arc<Shared>,
    running: Running,
) -> Result<Started, ClientError> {
    let supervisor = Supervisor {
        options,
        shared: Arc::clone(&shared),
    };
    let program = supervisor.options.program.clone();
    let thread = std::thread::Builder::new()
        .name("dbus-proxy".to_owned())
        .stack_size(STACK)
        .spawn(move || supervisor.run(running))
        // The process ends with the control socket, which went into the closure.
        .map_err(|source| ClientError::Start { program, source })?;
    Ok((shared, thread))
}

/// What is shared with the thread, and it itself.
type Started = (Arc<Shared>, JoinHandle<()>);

struct Supervisor {
    options: Options,
    shared: Arc<Shared>,
}

/// A process, and our end of its control socket.
struct Running {
    process: Process,
    control: UnixStream,
    since: Instant,
}

impl Running {
    fn start(options: &Options, shared: &Shared) -> Result<Self, ClientError> {
        let sockets = Bus::ALL.map(|bus| SocketIdentity::now(options, bus));
        let (child, control) = spawn(options)?;
        let pid = child.id();
        let mut process = Process::Child(child);
        if let Err(source) = shared.lock().attach(pid, &control, sockets) {
            process.end();
            let program = options.program.clone();
            return Err(ClientError::Start { program, source });
        }
        Ok(Self {
            process,
            control,
            since: Instant::now(),
        })
    }

    fn adopt(left: Left, shared: &Shared) -> io::Result<Self> {
        let control = UnixStream::from(left.control);
        let mut state = shared.lock();
        state.attach_left(left.pid, &control, left.sockets)?;
        Ok(Self {
            process: Process::Left(left.process),
            control,
            since: Instant::now(),
        })
    }
}

impl Supervisor {
    fn run(&self, first: Running) {
        let mut running = first;
        let mut pause = FIRST_PAUSE;
        loop {
            let planned = self.listen(&mut running);
            // It has closed its socket, so it is ending anyway, or ought to.
            let status = running.process.end();
            let mut state = self.shared.lock();
            state.restart();
            if state.stopping {
                return;
            }
            drop(state);
            let name = &self.options.name;
            if planned {
                log::info!("D-Bus proxy of {name}: started again for a new bus socket");
            } else {
                log::warn!("D-Bus proxy of {name} ended ({status}) and is started again");
            }
            pause = if running.since.elapsed() > LONG_RUN {
                FIRST_PAUSE
            } else {
                pause
            };
            loop {
                if !self.wait(pause) {
                    return;
                }
                pause = (pause * 2).min(LONGEST_PAUSE);
                match Running::start(&self.options, &self.shared) {
                    Ok(next) => {
                        running = next;
                        self.options.restarted.call();
                        break;
                    }
                    Err(error) => {
                        let error = error_chain(&error);
                        log::error!("D-Bus proxy of {name}: {error}");
                        self.shared.lock().last_error = Some(error);
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
    fn listen(&self, running: &mut Running) -> bool {
        let mut lines = Lines::new(limits::CONTROL_LINE);
        let mut rate = LogRate::default();
        let mut buffer = [0; 4096];
        loop {
            let count = match running.control.read(&mut buffer) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Ok(0) | Err(_) => return false,
                Ok(count) => count,
            };
            lines.feed(buffer.get(..count).unwrap_or_default());
            loop {
                match lines.next_line() {
                    Ok(None) => break,
                    Ok(Some(line)) => match Event::parse(line) {
                        Some(Event::Lost(bus)) if self.has_moved(bus) => return true,
                        event => self.handle(event, &mut rate),
                    },
                    Err(_) => return false,
                }
            }
        }
    }

    fn has_moved(&self, bus: Bus) -> bool {
        let seen = self.shared.lock().process().map(|(_, sockets)| sockets);
        let before = seen.and_then(|sockets| sockets.get(bus.index()).copied());
        SocketIdentity::now(&self.options, bus) != before.unwrap_or_default()
    }

    /// Acts on what the process says; `None` is what nobody understands. It may have been taken
    /// over by an app, or say of each of an app's connections the same.
    fn handle(&self, event: Option<Event>, rate: &mut LogRate) {
        let name = &self.options.name;
        if let Some(Event::Done(number)) = event {
            self.shared.lock().done(number);
            self.shared.changed.notify_all();
            return;
        }
        if let Some(Event::Anew(number)) = event {
            self.shared.lock().begun_anew(number);
            return;
        }
        if let (Some(Event::Log(text)), Some(listener)) = (&event, &self.options.refused)
            && let Some(what) = refused(text)
        {
            listener.tell(&printable(&what));
            return;
        }
        if let Some(Event::Error(text)) = &event {
            self.shared.lock().last_error = Some(printable(text));
        }
        let Some(suppressed) = rate.admit() else {
            return;
        };
        if suppressed > 0 {
            log::info!("D-Bus proxy of {name}: {suppressed} similar messages were left out");
        }
        let Some(event) = event else {
            return log::warn!("D-Bus proxy of {name}: nonsense");
        };
        match event {
            Event::Done(_) | Event::Anew(_) => {}
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
