//! The thread that stays with a proxy.

use std::{
    io::{self, Read},
    os::unix::net::UnixStream,
    process::Child,
    sync::{Arc, PoisonError},
    thread::JoinHandle,
    time::{Duration, Instant},
};

use super::{
    error::ClientError,
    options::Options,
    process::{SocketIdentity, spawn},
    shared::Shared,
};
use crate::{
    control::{Bus, Event, Lines},
    error_chain::error_chain,
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
pub(super) fn start(options: Options) -> Result<(Arc<Shared>, JoinHandle<()>), ClientError> {
    let shared = Arc::new(Shared::new());
    let running = Running::start(&options, &shared)?;
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

struct Supervisor {
    options: Options,
    shared: Arc<Shared>,
}

/// A process, our end of its control socket, and which buses it can see.
struct Running {
    child: Child,
    control: UnixStream,
    since: Instant,
    sockets: [SocketIdentity; 2],
}

impl Running {
    fn start(options: &Options, shared: &Shared) -> Result<Self, ClientError> {
        let sockets = Bus::ALL.map(|bus| SocketIdentity::now(options, bus));
        let (mut child, control) = spawn(options)?;
        if let Err(source) = shared.lock().attach(&control, child.id()) {
            end(&mut child);
            let program = options.program.clone();
            return Err(ClientError::Start { program, source });
        }
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
    fn run(&self, first: Running) {
        let mut running = first;
        let mut pause = FIRST_PAUSE;
        loop {
            let planned = self.listen(&mut running);
            // It has closed its socket, so it is ending anyway, or ought to.
            let _ = running.child.kill();
            let status = running.child.wait();
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
                        Some(Event::Lost(bus)) if self.has_moved(bus, running) => return true,
                        event => self.handle(event, &mut rate),
                    },
                    Err(_) => return false,
                }
            }
        }
    }

    fn has_moved(&self, bus: Bus, running: &Running) -> bool {
        let before = running
            .sockets
            .get(bus.index())
            .copied()
            .unwrap_or_default();
        SocketIdentity::now(&self.options, bus) != before
    }

    /// Acts on what the process says; `None` is what nobody understands. It may have been taken
    /// over by an app, or say of each of an app's connections the same.
    fn handle(&self, event: Option<Event>, rate: &mut LogRate) {
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
