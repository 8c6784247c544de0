//! The life of an app: container, capabilities, home directory, process, end.

use std::time::{Duration, Instant};

use nix::{
    sys::{
        signal::{SigSet, Signal},
        signalfd::{SfdFlags, SignalFd},
    },
    unistd::Pid,
};
use smol::{Async, Task, Timer};

use crate::{
    agent::{Agent, Event, Events},
    error::Error,
    home,
    identity::{Made, Process},
    left,
    manifest::App,
    notify,
    output::Relay,
    state::{Entry, Note, State},
};

/// How long the next agent may take to come, and how often it is looked for.
const RESTART: Duration = Duration::from_secs(20);
const LOOK: Duration = Duration::from_millis(100);
/// How long the app's last words may take to arrive once it has ended.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// The signals that ask a launcher to end: SIGTERM and SIGINT.
pub struct StopSignals(Async<SignalFd>);

impl StopSignals {
    /// Blocks the signals in this thread and in those it starts, so that only the descriptor gets
    /// them.
    pub fn block() -> Result<Self, Error> {
        let failed = |errno: nix::Error| Error::Signals(errno.into());
        let mut set = SigSet::empty();
        set.add(Signal::SIGTERM);
        set.add(Signal::SIGINT);
        set.thread_block().map_err(failed)?;
        let descriptor = SignalFd::with_flags(&set, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)
            .map_err(failed)?;
        Async::new(descriptor).map(Self).map_err(Error::Signals)
    }

    async fn wait(&self) -> Result<(), Error> {
        self.0
            .read_with(|descriptor| match descriptor.read_signal() {
                Ok(Some(_)) => Ok(()),
                Ok(None) => Err(std::io::ErrorKind::WouldBlock.into()),
                Err(errno) => Err(errno.into()),
            })
            .await
            .map_err(Error::Signals)
    }
}

/// Starts an app, stays until it ends or a stop signal comes, and removes its container. Returns
/// the exit status: the app's own, 128 and the signal if one killed it, 0 if it was asked to stop.
pub async fn run(
    agent: &Agent,
    state: &State,
    app: &App,
    signals: &StopSignals,
) -> Result<u8, Error> {
    let mut note = state.begin(&app.name)?;
    left::end(agent, &app.name, &mut note).await?;
    let mut events = agent.events().await?;
    let clock = Clock::start();
    let instance = agent.instance().await?;
    let container = agent.create(app).await?;
    let made = Made::new(instance, container);
    // Outlives the app: one that says something when it is asked to end would die of SIGPIPE if
    // nobody listened any more.
    let mut output = Output { copying: None };
    clock.report(&app.name, &format!("created container {container}"));
    let outcome = live(
        agent,
        app,
        &made,
        &mut note,
        &mut events,
        &mut output,
        signals,
    )
    .await;
    if matches!(outcome, Err(Error::AgentGone)) {
        // The container may have gone with the agent, and its ID be another's by now. The next
        // launcher finds out.
        note.keep();
        return outcome;
    }
    let clock = Clock::start();
    let destroyed = agent.destroy(container).await;
    output.last_words().await;
    clock.report(&app.name, &format!("destroyed container {container}"));
    let status = outcome?;
    destroyed?;
    Ok(status)
}

async fn live(
    agent: &Agent,
    app: &App,
    made: &Made,
    note: &mut Note,
    events: &mut Events,
    output: &mut Output,
    signals: &StopSignals,
) -> Result<u8, Error> {
    let container = made.container;
    // Already now: what a killed launcher leaves is found by it.
    note.write(&app.name, made, None)?;
    let clock = Clock::start();
    agent.set_capabilities(container, &app.capabilities).await?;
    clock.report(
        &app.name,
        &format!("set {} capabilities", app.capabilities.len()),
    );

    let clock = Clock::start();
    agent.bind_mount(container, &home::make(app)?).await?;
    for mount in &app.mounts {
        agent.bind_mount(container, mount).await?;
    }
    clock.report(
        &app.name,
        &format!("mounted {} paths", app.mounts.len() + 1),
    );

    let mut environment = app.environment.clone();
    environment.insert(
        "HOME".to_owned(),
        app.home_in_container.to_string_lossy().into_owned(),
    );
    let relay = match &app.output {
        Some(_) => None,
        None => Some(Relay::new(&note.path().with_extension("output"))?),
    };
    let output_file = match (&app.output, &relay) {
        (Some(path), _) => path.as_path(),
        (None, Some(relay)) => relay.path(),
        (None, None) => std::path::Path::new(""),
    };
    let clock = Clock::start();
    let pid = agent
        .execute(
            container,
            &app.command,
            &app.directory,
            output_file,
            &environment,
        )
        .await?;
    clock.report(&app.name, &format!("started process {pid}"));
    let process = Process::new(pid);
    note.write(&app.name, made, Some(process))?;
    notify::ready();
    output.copying = relay.map(|relay| smol::spawn(relay.copy()));

    let ended = async {
        loop {
            match wait_for_end(events, container, pid).await {
                // Where its descriptors are kept, the next agent goes on with the app.
                Err(Error::AgentGone) if goes_on(agent, container, process).await => {
                    let instance = agent.instance().await?;
                    let made = Made::new(instance, container);
                    note.write(&app.name, &made, Some(process))?;
                }
                ended => return ended.map(Some),
            }
        }
    };
    let stopped = async { signals.wait().await.map(|()| None) };
    let status = smol::future::or(ended, stopped).await?;
    let Some(status) = status else {
        return Ok(0);
    };
    output.last_words().await;
    eprintln!("{}: ended, {}", app.name, describe(status));
    Ok(exit_status(status))
}

/// What an app says, on its way to the launcher's own output.
struct Output {
    copying: Option<Task<()>>,
}

impl Output {
    /// Waits until all that the app wrote is copied, but not for other processes that have
    /// inherited its output.
    async fn last_words(&mut self) {
        if let Some(copying) = self.copying.take() {
            smol::future::or(copying, async {
                Timer::after(LAST_WORDS).await;
            })
            .await;
        }
    }
}

/// Asks the launcher of an app to end it. The launcher that created a container is the only one to
/// destroy it: its ID may be another container's a moment later.
pub fn ask_to_stop(entry: &Entry) -> Result<(), Error> {
    let launcher = i32::try_from(entry.launcher)
        .map_err(|_| Error::NotRunning(entry.name.clone()))
        .map(Pid::from_raw)?;
    nix::sys::signal::kill(launcher, Signal::SIGTERM).map_err(|errno| Error::Signals(errno.into()))
}

/// Whether another agent has the container, and the process in it still runs.
async fn goes_on(agent: &Agent, container: i32, process: Process) -> bool {
    let listed = async {
        loop {
            match agent.list().await {
                Ok(all) => break all.contains(&container),
                Err(_) => drop(Timer::after(LOOK).await),
            }
        }
    };
    let late = async {
        Timer::after(RESTART).await;
        false
    };
    // In this order: what the agent destroys is ended when it lists what is left.
    smol::future::or(listed, late).await && process.runs()
}

async fn wait_for_end(events: &mut Events, container: i32, pid: i32) -> Result<u32, Error> {
    loop {
        match events.next().await? {
            Event::Ended(ended)
                if ended.container == container && i64::from(ended.pid) == i64::from(pid) =>
            {
                return Ok(ended.status);
            }
            Event::Ended(_) => {}
            Event::AgentGone => return Err(Error::AgentGone),
        }
    }
}

/// A shell's view of a wait status: the exit status, or 128 and the signal.
fn exit_status(status: u32) -> u8 {
    let [low, high, ..] = status.to_le_bytes();
    match low & 0x7f {
        0 => high,
        signal => 128 | signal,
    }
}

fn describe(status: u32) -> String {
    let [low, high, ..] = status.to_le_bytes();
    match low & 0x7f {
        0 => format!("exit status {high}"),
        signal => format!("signal {signal}"),
    }
}

/// Measures a step, for the log.
struct Clock(Instant);

impl Clock {
    fn start() -> Self {
        Self(Instant::now())
    }

    fn report(&self, name: &str, what: &str) {
        eprintln!(
            "{name}: {what} in {:.1} ms",
            self.0.elapsed().as_secs_f64() * 1e3
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_status_becomes_what_a_shell_would_say() {
        assert_eq!(exit_status(0), 0);
        assert_eq!(exit_status(3 << 8), 3);
        assert_eq!(exit_status(15), 143);
        assert_eq!(exit_status(9 | 0x80), 137, "with a core dump");
    }
}
