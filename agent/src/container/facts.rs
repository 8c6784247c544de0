//! What is told of a container to those who look at it: kept beside the container, so that nobody
//! who looks waits for a call on it, and told to the bus when it changes.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    net::IpAddr,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
    time::{Instant, SystemTime},
};

use smol::channel::Sender;
use softwarecontainer_capability::GatewayConfig;
use softwarecontainer_network::{Network, host_names::NameState};

use super::{
    ending::{self, Ended},
    refusals::{Refusal, Refusals},
    state::{Reason, Status},
};
use crate::{
    gateway::Refused,
    host::{
        cgroup::{Cgroups, usage},
        namespace::Namespaces,
    },
};

/// How many characters of a command line are kept.
const KEPT_COMMAND: usize = 1024;

/// Something that happened to a container.
#[derive(Debug)]
pub struct Event {
    /// The container.
    pub facts: Arc<Facts>,
    /// What happened.
    pub news: News,
}

/// What happened to a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum News {
    /// It can be used from now on.
    Created,
    /// A process was started in it.
    ProcessStarted {
        /// Its ID on the host.
        pid: u32,
        /// The beginning of its command line.
        command: String,
    },
    /// A process that was started in it has ended.
    ProcessEnded {
        /// Its ID on the host.
        pid: u32,
        /// The beginning of its command line.
        command: String,
        /// Its wait status (waitpid(2)).
        status: i32,
        /// The system calls that were refused to it.
        calls: Vec<String>,
    },
    /// An app wanted something that it did not get, told at powers of two.
    Refused {
        /// The gateway that could allow it.
        gateway: &'static str,
        /// What it is.
        what: String,
        /// How often it was refused by now.
        count: u64,
    },
    /// It is in another state.
    Status(Status, Reason),
    /// It may do more.
    Capabilities,
    /// A launcher has mounted something in it, or taken it away.
    Mounts,
    /// It is gone, and its ID is free.
    Removed,
}

/// What a launcher says of a container when it has it made.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Label {
    /// The app's ID, such as `org.example.Maps`; may be empty.
    pub app: String,
    /// What people call it; may be empty.
    pub text: String,
    /// The connection to the bus with which it goes, by its unique name.
    pub bound_to: Option<String>,
}

/// A process that a launcher has started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Process {
    /// The beginning of its command line.
    pub command: String,
    /// When it was started.
    pub since: SystemTime,
}

/// What a launcher has mounted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mounted {
    /// The path on the host.
    pub host: PathBuf,
    /// The path in the container.
    pub container: PathBuf,
    /// Nothing can be written there.
    pub read_only: bool,
}

/// Where a container that runs is found on the host.
#[derive(Debug)]
pub struct Place {
    /// The process ID of its init.
    pub init: u32,
    /// The user of the container that its apps are.
    pub user: u32,
    /// Its cgroups.
    pub cgroups: Cgroups,
    /// The tmpfs with everything that it writes to.
    pub directory: PathBuf,
    /// The host's side of `/gateways`.
    pub gateways: PathBuf,
    /// Its addresses.
    pub addresses: Vec<IpAddr>,
    /// The host's end of its network interface.
    pub interface: String,
    /// Where that belongs to.
    pub network: Arc<Network>,
    /// Its namespaces.
    pub namespaces: Namespaces,
}

#[derive(Debug)]
struct Changing {
    status: Status,
    reason: Reason,
    capabilities: Vec<String>,
    rules: Rules,
    names: BTreeSet<String>,
    mounts: Vec<Mounted>,
    processes: BTreeMap<u32, Process>,
    /// How many processes the kernel had killed for memory when this was last looked at.
    oom_kills: u64,
    /// How many of them were told of.
    oom_kills_told: u64,
    /// The kernel has killed the whole of the container.
    ended_for_memory: bool,
    /// How often the kernel had refused a process when this was last looked at.
    refused_tasks: u64,
    refusals: Refusals,
    /// The last ends, the latest at the end.
    ends: VecDeque<Ended>,
}

/// What an earlier agent has told of a container that goes on.
#[derive(Debug)]
pub(super) struct Earlier {
    pub(super) creator: u32,
    pub(super) label: Label,
    pub(super) options: String,
    pub(super) since: SystemTime,
    pub(super) status: Status,
    pub(super) capabilities: Vec<String>,
    pub(super) rules: Rules,
    pub(super) mounts: Vec<Mounted>,
    pub(super) processes: BTreeMap<u32, Process>,
}

/// What was asked of gateways, in its order.
pub type Rules = Arc<[GatewayConfig]>;

/// What is told of one container.
#[derive(Debug)]
pub struct Facts {
    /// Its ID.
    pub id: i32,
    /// The user who created it.
    pub creator: u32,
    /// Who it is for.
    pub label: Label,
    /// The options of `Create`, as the launcher gave them.
    pub options: String,
    /// When it was asked for.
    pub since: SystemTime,
    place: OnceLock<Place>,
    changing: Mutex<Changing>,
    events: Sender<Event>,
}

impl Facts {
    /// Those of a container that is about to be made; what happens to it is sent to `events`.
    pub fn new(
        id: i32,
        creator: u32,
        label: Label,
        options: String,
        events: Sender<Event>,
    ) -> Arc<Self> {
        Arc::new(Self {
            id,
            creator,
            label,
            options,
            since: SystemTime::now(),
            place: OnceLock::new(),
            changing: Mutex::new(Changing {
                status: Status::Ready,
                reason: Reason::Call,
                capabilities: Vec::new(),
                rules: Rules::default(),
                names: BTreeSet::new(),
                mounts: Vec::new(),
                processes: BTreeMap::new(),
                oom_kills: 0,
                oom_kills_told: 0,
                ended_for_memory: false,
                refused_tasks: 0,
                refusals: Refusals::default(),
                ends: VecDeque::new(),
            }),
            events,
        })
    }

    /// Those of a container that an earlier agent has left.
    pub(super) fn left(id: i32, earlier: Earlier, events: Sender<Event>) -> Arc<Self> {
        Arc::new(Self {
            id,
            creator: earlier.creator,
            label: earlier.label,
            options: earlier.options,
            since: earlier.since,
            place: OnceLock::new(),
            changing: Mutex::new(Changing {
                status: earlier.status,
                reason: Reason::Call,
                capabilities: earlier.capabilities,
                rules: earlier.rules,
                names: BTreeSet::new(),
                mounts: earlier.mounts,
                processes: earlier.processes,
                oom_kills: 0,
                oom_kills_told: 0,
                ended_for_memory: false,
                refused_tasks: 0,
                refusals: Refusals::default(),
                ends: VecDeque::new(),
            }),
            events,
        })
    }

    fn changing(&self) -> MutexGuard<'_, Changing> {
        self.changing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell(self: &Arc<Self>, news: News) {
        let facts = self.clone();
        // The channel has no limit, and is closed only when the agent stops.
        let _ = self.events.try_send(Event { facts, news });
    }

    /// The container runs.
    pub(super) fn runs(&self, place: Place) {
        // A container is started once.
        let _ = self.place.set(place);
    }

    /// Where it is; `None` before it runs.
    pub fn place(&self) -> Option<&Place> {
        self.place.get()
    }

    /// It can be used from now on.
    pub fn created(self: &Arc<Self>) {
        self.tell(News::Created);
    }

    /// It is gone.
    pub fn removed(self: &Arc<Self>, reason: Reason) {
        self.enter(Status::Destroyed, reason);
        self.tell(News::Removed);
    }

    /// It is in another state from now on.
    pub fn enter(self: &Arc<Self>, status: Status, reason: Reason) {
        let mut changing = self.changing();
        if changing.status == status {
            return;
        }
        (changing.status, changing.reason) = (status, reason);
        drop(changing);
        self.tell(News::Status(status, reason));
    }

    /// Its init is gone, and every process with it. That is no news of one that is being destroyed.
    pub(super) fn init_gone(self: &Arc<Self>) {
        if matches!(self.status().0, Status::Ready | Status::Suspended) {
            let reason = match self.ended_for_memory() {
                false => Reason::ByItself,
                true => Reason::OutOfMemory,
            };
            log::warn!("container {} has ended ({})", self.id, reason.name());
            self.enter(Status::Ended, reason);
        }
    }

    /// Its state, and why it is in it.
    pub fn status(&self) -> (Status, Reason) {
        let changing = self.changing();
        (changing.status, changing.reason)
    }

    /// Capabilities were set.
    pub fn add_capabilities<'a>(self: &Arc<Self>, names: impl Iterator<Item = &'a str>) {
        let mut changing = self.changing();
        let before = changing.capabilities.len();
        for name in names {
            if !changing.capabilities.iter().any(|it| it == name) {
                changing.capabilities.push(name.to_owned());
            }
        }
        let changed = changing.capabilities.len() > before;
        drop(changing);
        if changed {
            self.tell(News::Capabilities);
        }
    }

    /// The capabilities that were set, in their order.
    pub fn capabilities(&self) -> Vec<String> {
        self.changing().capabilities.clone()
    }

    /// Gateways have been asked for this, altogether.
    pub(super) fn set_rules(&self, rules: Rules) {
        self.changing().rules = rules;
    }

    /// What was asked of gateways.
    pub fn rules(&self) -> Rules {
        self.changing().rules.clone()
    }

    /// Its rules name these hosts.
    pub(super) fn set_names(&self, names: BTreeSet<String>) {
        self.changing().names = names;
    }

    /// What is known now of the hosts that its rules name.
    pub fn names(&self) -> Vec<NameState> {
        let Some(place) = self.place() else {
            return Vec::new();
        };
        let names = self.changing().names.clone();
        let known = place.network.host_names();
        names.iter().filter_map(|it| known.state_of(it)).collect()
    }

    /// A launcher has mounted something.
    pub(super) fn mounted(self: &Arc<Self>, mounted: Mounted) {
        self.changing().mounts.push(mounted);
        self.tell(News::Mounts);
    }

    /// What launchers have mounted.
    pub fn mounts(&self) -> Vec<Mounted> {
        self.changing().mounts.clone()
    }

    /// A process was started.
    pub(super) fn process_started(self: &Arc<Self>, pid: u32, command_line: &str) {
        let command: String = command_line.chars().take(KEPT_COMMAND).collect();
        let since = SystemTime::now();
        let process = Process {
            command: command.clone(),
            since,
        };
        let mut changing = self.changing();
        changing.processes.insert(pid, process);
        // It was the second init that had ended.
        changing.ended_for_memory = false;
        drop(changing);
        self.tell(News::ProcessStarted { pid, command });
    }

    /// A process has ended, to which these system calls were refused.
    pub(super) fn process_ended(self: &Arc<Self>, pid: u32, status: i32, calls: Vec<String>) {
        let process = self.changing().processes.remove(&pid);
        self.tell(News::ProcessEnded {
            pid,
            command: process.map(|it| it.command).unwrap_or_default(),
            status,
            calls,
        });
    }

    /// How a process has ended is known.
    pub fn remember_end(&self, ended: Ended) {
        let mut changing = self.changing();
        if changing.ends.len() >= ending::REMEMBERED {
            changing.ends.pop_front();
        }
        changing.ends.push_back(ended);
    }

    /// The last ends of processes, the latest at the end.
    pub fn ends(&self) -> Vec<Ended> {
        self.changing().ends.iter().cloned().collect()
    }

    /// Whether the kernel has refused processes since this was last asked.
    pub fn was_short_of_tasks(&self) -> bool {
        let now = self
            .place()
            .map_or(0, |it| usage::refused_tasks(&it.cgroups));
        let before = std::mem::replace(&mut self.changing().refused_tasks, now);
        now > before
    }

    /// An app wanted something that it did not get; how often since the log last had it, if it is
    /// to have it now.
    pub fn count_refused(self: &Arc<Self>, gateway: &'static str, what: &str) -> Option<u64> {
        let counted = self
            .changing()
            .refusals
            .count(gateway, what, Instant::now());
        if counted.count.is_power_of_two() {
            self.tell(News::Refused {
                gateway,
                what: counted.what,
                count: counted.count,
            });
        }
        counted.to_log
    }

    /// As [`Self::count_refused`], and the log is told at most once a minute.
    pub fn refused(self: &Arc<Self>, gateway: &'static str, what: &str) {
        let id = self.id;
        match self.count_refused(gateway, what) {
            None => {}
            Some(1) => log::info!("container {id}: gateway {gateway}: refused {what}"),
            Some(times) => {
                log::info!("container {id}: gateway {gateway}: refused {what} ({times} times)");
            }
        }
    }

    /// What gateways tell what they refuse.
    pub(super) fn hears_of_refusals(self: &Arc<Self>) -> Refused {
        let facts = self.clone();
        Refused::new(move |gateway, what| facts.refused(gateway, what))
    }

    /// What apps wanted and did not get, the last one first.
    pub fn refusals(&self) -> Vec<Refusal> {
        self.changing().refusals.all()
    }

    /// The processes that launchers have started and that have not ended.
    pub fn processes(&self) -> BTreeMap<u32, Process> {
        self.changing().processes.clone()
    }

    /// How many processes the kernel has killed for memory since this was last asked.
    pub fn new_oom_kills(&self) -> u64 {
        self.look_for_oom_kills();
        let mut changing = self.changing();
        let kills = changing.oom_kills;
        kills - std::mem::replace(&mut changing.oom_kills_told, kills)
    }

    /// An init is found to have ended; LXC is about to remove the cgroup that says how.
    pub(super) fn init_ends(&self) {
        let before = self.changing().oom_kills;
        self.look_for_oom_kills();
        let mut changing = self.changing();
        changing.ended_for_memory = changing.oom_kills > before;
    }

    /// Whether the container has ended because the kernel has killed all of it for memory.
    pub fn ended_for_memory(&self) -> bool {
        self.changing().ended_for_memory
    }

    fn look_for_oom_kills(&self) {
        let kills = self.place().map_or(0, |it| usage::oom_kills(&it.cgroups));
        let mut changing = self.changing();
        // None any more where the cgroup is gone.
        changing.oom_kills = changing.oom_kills.max(kills);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts() -> (Arc<Facts>, smol::channel::Receiver<Event>) {
        let (sender, receiver) = smol::channel::unbounded();
        let facts = Facts::new(3, 1000, Label::default(), "[]".to_owned(), sender);
        (facts, receiver)
    }

    fn next(events: &smol::channel::Receiver<Event>) -> Option<News> {
        events.try_recv().ok().map(|event| event.news)
    }

    #[test]
    fn a_state_that_it_is_in_already_is_no_news() {
        let (facts, events) = facts();
        facts.enter(Status::Ready, Reason::Call);
        assert_eq!(next(&events), None);
        facts.enter(Status::Suspended, Reason::Call);
        let news = News::Status(Status::Suspended, Reason::Call);
        assert_eq!(next(&events), Some(news));
    }

    #[test]
    fn the_end_of_an_init_is_news_unless_the_container_is_being_destroyed() {
        let (facts, events) = facts();
        facts.init_gone();
        let news = News::Status(Status::Ended, Reason::ByItself);
        assert_eq!(next(&events), Some(news));
        facts.enter(Status::Destroying, Reason::Call);
        facts.init_gone();
        assert!(next(&events).is_some());
        assert_eq!(next(&events), None);
    }

    #[test]
    fn a_capability_is_counted_once() {
        let (facts, events) = facts();
        facts.add_capabilities(["b", "a", "b"].into_iter());
        facts.add_capabilities(["a"].into_iter());
        assert_eq!(facts.capabilities(), ["b", "a"]);
        assert_eq!(next(&events), Some(News::Capabilities));
        assert_eq!(next(&events), None);
    }

    #[test]
    fn of_a_long_command_line_the_beginning_is_kept() {
        let (facts, _events) = facts();
        facts.process_started(7, &"é".repeat(2000));
        assert_eq!(facts.processes()[&7].command, "é".repeat(KEPT_COMMAND));
        facts.process_ended(7, 0, Vec::new());
        assert!(facts.processes().is_empty());
    }
}
