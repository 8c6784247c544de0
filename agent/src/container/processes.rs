//! The processes that `Execute` has started in one container, and what is told of them.

use std::{
    collections::{HashMap, HashSet},
    fmt,
    ops::Range,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak, mpsc},
};

use softwarecontainer_init::Call;

use super::{
    facts::Facts,
    state_file::{Starter, StateFile},
};
use crate::host::seccomp::calls;

/// The wait status (waitpid(2)) of a process that SIGKILL ended, as those do whose container's init
/// is gone.
pub const KILLED: i32 = libc::SIGKILL;

/// How many numbers an earlier agent may have given since it last wrote down which is the next.
const UNWRITTEN: Number = 1 << 20;

/// How many refused system calls of a container are logged.
const DENIED: usize = 256;

/// A process of `Execute` that has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ended {
    /// The container it ran in.
    pub container: i32,
    /// Its process ID on the host.
    pub pid: u32,
    /// Its wait status (waitpid(2)).
    pub status: i32,
}

/// An end that launchers are to be told of.
#[derive(Debug)]
pub struct Report {
    /// What has ended.
    pub ended: Ended,
    /// What knows that it was not told yet.
    state: Arc<StateFile>,
    /// Those that it is one of, and its number there.
    of: Option<(Weak<Processes>, Number)>,
}

impl Report {
    /// Of a process that a killed agent has left in `state`, and that has ended with `status`.
    pub fn of_left(state: Arc<StateFile>, pid: u32, status: i32) -> Self {
        let ended = Ended {
            container: state.container(),
            pid,
            status,
        };
        let of = None;
        Self { ended, state, of }
    }

    /// It was told. Blocks.
    pub fn told(&self) {
        self.state.remove(self.ended.pid);
        if let Some((processes, number)) = &self.of
            && let Some(processes) = processes.upgrade()
        {
            processes.forget(*number);
        }
    }
}

/// Why a process did not start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum StartFailure {
    /// The container's init could not make it; an errno.
    Failed(i32),
    /// Its working directory cannot be entered; an errno.
    NoDirectory(i32),
    /// It has ended, with this wait status (waitpid(2)), before it became a program.
    Ended(i32),
    /// Nothing was heard of it in time.
    Late,
    /// The container's init has ended.
    InitGone,
}

/// The agent's number of a process, unique in its container.
pub type Number = u32;

/// How a start ended: with the process ID on the host, or not at all.
pub type Start = Result<u32, StartFailure>;

#[derive(Debug)]
struct Running {
    pid: u32,
    /// The caller of `Execute` has been sent its reply.
    announced: bool,
    status: Option<i32>,
}

#[derive(Debug, Default)]
struct State {
    next: Number,
    starting: HashMap<Number, mpsc::Sender<Start>>,
    /// Those that nobody waits for any more; the init ends them.
    abandoned: HashSet<Number>,
    running: HashMap<Number, Running>,
    denied: HashSet<(Number, Call)>,
    /// Numbers that an earlier agent may have given, and this one knows nothing of.
    unknown: Range<Number>,
    /// Of those that an earlier agent has started, the ones that the init has not spoken of.
    unheard: HashSet<Number>,
    gone: bool,
}

/// Tells the init that nobody asks for an end any more.
type Forget = Box<dyn Fn(Number) + Send + Sync>;

/// All processes of one container, shared by the calls that start them and the task that hears of
/// their end.
pub struct Processes {
    own: Weak<Self>,
    forget: OnceLock<Forget>,
    facts: Arc<Facts>,
    reports: smol::channel::Sender<Report>,
    state_file: Arc<StateFile>,
    starter: Starter,
    state: Mutex<State>,
}

impl fmt::Debug for Processes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Processes")
            .field("state", &self.state)
            .finish_non_exhaustive()
    }
}

impl Processes {
    /// No processes yet; every end is told to `facts` and sent to `reports`.
    pub fn new(
        facts: Arc<Facts>,
        state_file: Arc<StateFile>,
        starter: Starter,
        reports: smol::channel::Sender<Report>,
    ) -> Arc<Self> {
        Self::with(facts, state_file, starter, reports, State::default())
    }

    /// Those of `starter` that an earlier agent has left in `state_file`, and a number above all of
    /// theirs.
    pub fn left(
        facts: Arc<Facts>,
        state_file: Arc<StateFile>,
        starter: Starter,
        reports: smol::channel::Sender<Report>,
    ) -> (Arc<Self>, Number) {
        let (mut known, next) = (state_file.processes(), state_file.next(starter));
        known.retain(|_, known| known.starter == starter);
        let running = known.iter().map(|(pid, known)| {
            let running = Running {
                pid: *pid,
                announced: true,
                status: None,
            };
            (known.number, running)
        });
        let end = next.saturating_add(UNWRITTEN);
        let state = State {
            next: end,
            running: running.collect(),
            unknown: next..end,
            unheard: known.values().map(|known| known.number).collect(),
            ..State::default()
        };
        let this = Self::with(facts, state_file, starter, reports, state);
        (this, next)
    }

    fn with(
        facts: Arc<Facts>,
        state_file: Arc<StateFile>,
        starter: Starter,
        reports: smol::channel::Sender<Report>,
        state: State,
    ) -> Arc<Self> {
        Arc::new_cyclic(|own| Self {
            own: own.clone(),
            forget: OnceLock::new(),
            facts,
            reports,
            state_file,
            starter,
            state: Mutex::new(state),
        })
    }

    /// How the init is told that nobody asks for an end any more.
    pub fn on_forget(&self, forget: impl Fn(Number) + Send + Sync + 'static) {
        // There is one connection.
        let _ = self.forget.set(Box::new(forget));
    }

    fn forget(&self, number: Number) {
        if let Some(forget) = self.forget.get() {
            forget(number);
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A number for a new process, and where the outcome of its start will arrive.
    pub fn expect(&self) -> (Number, mpsc::Receiver<Start>) {
        let (sender, receiver) = mpsc::channel();
        let mut state = self.state();
        let number = state.next;
        state.next = number.wrapping_add(1);
        if state.gone {
            // A receiver that has stopped listening is no concern of ours, here and below.
            let _ = sender.send(Err(StartFailure::InitGone));
        } else {
            state.starting.insert(number, sender);
        }
        (number, receiver)
    }

    /// Nobody waits for the start of process `number` any more; false if it was told before this.
    pub fn abandon(&self, number: Number) -> bool {
        let mut state = self.state();
        let waited = state.starting.remove(&number).is_some();
        if waited {
            state.abandoned.insert(number);
        }
        waited
    }

    /// Process `number` runs as `pid`. False if it was not expected.
    pub fn started(&self, number: Number, pid: u32) -> bool {
        let mut state = self.state();
        let Some(sender) = state.starting.remove(&number) else {
            return state.abandoned.contains(&number) || state.unknown.contains(&number);
        };
        state.running.insert(
            number,
            Running {
                pid,
                announced: false,
                status: None,
            },
        );
        let _ = sender.send(Ok(pid));
        true
    }

    /// Process `number` did not start. False if it was not expected.
    pub fn refused(&self, number: Number, why: StartFailure) -> bool {
        let mut state = self.state();
        match state.starting.remove(&number) {
            Some(sender) => {
                let _ = sender.send(Err(why));
                true
            }
            None => state.abandoned.contains(&number) || state.unknown.contains(&number),
        }
    }

    /// Process `number` has ended. A process that was refused ends too and is of no interest.
    pub fn ended(&self, number: Number, status: i32) {
        let mut state = self.state();
        state.abandoned.remove(&number);
        state.unheard.remove(&number);
        if let Some(running) = state.running.get_mut(&number) {
            running.status = Some(status);
            self.tell(&mut state, number);
            return;
        }
        if let Some(sender) = state.starting.remove(&number) {
            let _ = sender.send(Err(StartFailure::Ended(status)));
        }
        drop(state);
        self.forget(number);
    }

    /// The init says that process `number`, which an earlier agent has started, runs.
    pub fn runs(&self, number: Number) {
        self.state().unheard.remove(&number);
    }

    /// The init has spoken of all that an earlier agent has started. What else that one knew has
    /// ended, and how is not known any more.
    pub fn taken_over(&self) {
        let mut state = self.state();
        for number in std::mem::take(&mut state.unheard) {
            if let Some(running) = state.running.get_mut(&number) {
                running.status.get_or_insert(KILLED);
                self.tell(&mut state, number);
            }
        }
    }

    /// Process `number`, or one that descends from it, has made a system call that it may not make.
    /// That is logged once; what comes after [`DENIED`] calls is not.
    pub fn denied(&self, number: Number, call: Call) {
        let mut state = self.state();
        if state.denied.len() >= DENIED || !state.denied.insert((number, call)) {
            return;
        }
        let name = calls::name(call).to_string();
        let what = format!("system call {name}");
        // It is logged with its process.
        self.facts.count_refused("privileges", &what);
        let running = state.running.get(&number);
        let process = running.map_or_else(String::new, |it| format!(" {}", it.pid));
        let last = state.denied.len() == DENIED;
        log::info!(
            "container {}: process{process} or a child of it made the system call {}, which apps \
             may not make{}",
            self.facts.id,
            calls::name(call),
            if last {
                "; nothing further is told of this container"
            } else {
                ""
            }
        );
    }

    /// The process ID of a process is about to be told to a launcher. Blocks.
    pub fn known(&self, pid: u32, number: Number) {
        self.state_file.add(pid, number, self.starter);
    }

    /// The reply with the process ID of `number` is on its way, so that its end may be told from
    /// now on.
    pub fn announced(&self, number: Number) {
        let mut state = self.state();
        if let Some(running) = state.running.get_mut(&number) {
            running.announced = true;
            self.tell(&mut state, number);
        }
    }

    /// The container's init is gone, and with it every process.
    pub fn all_gone(&self) {
        self.facts.init_ends();
        let mut state = self.state();
        state.gone = true;
        for (_, sender) in state.starting.drain() {
            let _ = sender.send(Err(StartFailure::InitGone));
        }
        let numbers: Vec<Number> = state.running.keys().copied().collect();
        for number in numbers {
            if let Some(running) = state.running.get_mut(&number) {
                running.status.get_or_insert(KILLED);
                self.tell(&mut state, number);
            }
        }
    }

    /// The number of the process that is `pid` on the host; `None` if it does not run.
    pub fn number(&self, pid: u32) -> Option<Number> {
        let state = self.state();
        let mut running = state.running.iter();
        let found = running.find(|(_, it)| it.pid == pid && it.status.is_none())?;
        Some(*found.0)
    }

    /// How many processes run.
    pub fn count(&self) -> usize {
        self.state().running.len()
    }

    /// Whether processes were started, and all of them have ended and been told of.
    pub fn have_ended(&self) -> bool {
        let state = self.state();
        state.next > 0 && state.starting.is_empty() && state.running.is_empty()
    }

    fn tell(&self, state: &mut State, number: Number) {
        let Some(Running {
            pid,
            announced: true,
            status: Some(status),
        }) = state.running.get(&number)
        else {
            return;
        };
        let ended = Ended {
            container: self.facts.id,
            pid: *pid,
            status: *status,
        };
        let report = Report {
            ended,
            state: self.state_file.clone(),
            of: Some((self.own.clone(), number)),
        };
        let calls = state.denied.iter().filter(|(of, _)| *of == number);
        let calls = calls.map(|(_, call)| calls::name(*call).to_string());
        self.facts.process_ended(*pid, *status, calls.collect());
        state.running.remove(&number);
        // The channel has no limit, and is closed only when the agent stops.
        let _ = self.reports.try_send(report);
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::container::facts::Label;

    fn processes() -> (Arc<Processes>, smol::channel::Receiver<Report>) {
        let (sender, receiver) = smol::channel::unbounded();
        let state_file = Arc::new(StateFile::new(Path::new("/no/such"), 3, 1));
        let (events, _) = smol::channel::unbounded();
        let facts = Facts::new(3, 0, Label::default(), String::new(), events);
        let starter = Starter::First;
        (Processes::new(facts, state_file, starter, sender), receiver)
    }

    #[test]
    fn an_end_is_told_after_the_reply_and_once() {
        let (processes, told) = processes();
        let (number, outcome) = processes.expect();
        assert!(processes.started(number, 77));
        assert_eq!(outcome.recv().unwrap(), Ok(77));
        processes.ended(number, 256);
        assert!(told.try_recv().is_err());
        processes.announced(number);
        let end = Ended {
            container: 3,
            pid: 77,
            status: 256,
        };
        assert_eq!(told.try_recv().unwrap().ended, end);
        processes.all_gone();
        assert!(told.try_recv().is_err());
    }

    #[test]
    fn processes_have_ended_when_there_were_some_and_the_last_end_is_told() {
        let (processes, _told) = processes();
        assert!(!processes.have_ended(), "none was started yet");
        let (first, _outcome) = processes.expect();
        assert!(!processes.have_ended(), "one is being started");
        let (second, _outcome) = processes.expect();
        for (number, pid) in [(first, 5), (second, 6)] {
            processes.started(number, pid);
            processes.announced(number);
        }
        processes.ended(first, 0);
        assert!(!processes.have_ended(), "another one runs");
        processes.ended(second, 0);
        assert!(processes.have_ended());
    }

    #[test]
    fn the_end_of_the_init_ends_every_process_and_refuses_new_ones() {
        let (processes, told) = processes();
        let (first, _outcome) = processes.expect();
        processes.started(first, 5);
        processes.announced(first);
        let (_second, outcome) = processes.expect();
        processes.all_gone();
        assert_eq!(outcome.recv().unwrap(), Err(StartFailure::InitGone));
        assert_eq!(told.try_recv().unwrap().ended.status, KILLED);
        let (_third, outcome) = processes.expect();
        assert_eq!(outcome.recv().unwrap(), Err(StartFailure::InitGone));
        assert_eq!(processes.count(), 0);
    }

    #[test]
    fn an_end_before_the_start_fails_the_call() {
        let (processes, told) = processes();
        let (number, outcome) = processes.expect();
        processes.ended(number, 9);
        assert_eq!(outcome.recv().unwrap(), Err(StartFailure::Ended(9)));
        assert!(told.try_recv().is_err());
    }

    #[test]
    fn a_start_that_was_given_up_is_no_violation_and_nobodys_news() {
        let (processes, told) = processes();
        let (number, _outcome) = processes.expect();
        assert!(processes.abandon(number));
        assert!(processes.started(number, 77));
        processes.ended(number, 9);
        assert!(!processes.started(number, 77));
        processes.all_gone();
        assert!(told.try_recv().is_err());
    }

    #[test]
    fn what_nobody_asked_for_is_not_believed() {
        let (processes, told) = processes();
        assert!(!processes.started(9, 1));
        assert!(!processes.refused(9, StartFailure::Failed(1)));
        processes.ended(9, 0);
        assert!(told.try_recv().is_err());
    }
}
