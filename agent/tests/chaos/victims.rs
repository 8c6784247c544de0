//! Who is killed.

use std::{
    fs,
    os::fd::OwnedFd,
    path::{Path, PathBuf},
};

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use super::{random::Random, support::TestAgent, tables::names};

/// Whom to kill.
pub enum Victim {
    /// The agent, which has to be started again.
    Agent,
    /// One of its processes.
    Other(Process),
}

/// A process that the agent has started, directly or not.
pub struct Process(OwnedFd);

impl Process {
    pub fn kill(&self) {
        // An error means that it has ended.
        let _ = pidfd_send_signal(&self.0, Signal::KILL);
    }
}

/// One of the agent, a monitor, an init, a proxy, and any process that the agent has started;
/// `None` if there is none of the kind that was chosen.
pub fn choose(agent: &TestAgent, random: &mut Random) -> Option<Victim> {
    let started = |agent: &TestAgent| children(agent.pid());
    let kind: &dyn Fn(&TestAgent) -> Vec<u32> = match random.below(5) {
        0 => return Some(Victim::Agent),
        1 => &monitors,
        2 => &inits,
        3 => &proxies,
        _ => &started,
    };
    let pid = *random.choose(&kind(agent))?;
    let process = open(pid)?;
    // Its number may be another's by now.
    let is_still = kind(agent).contains(&pid);
    is_still.then_some(Victim::Other(process))
}

fn open(pid: u32) -> Option<Process> {
    let number = Pid::from_raw(i32::try_from(pid).ok()?)?;
    let process = pidfd_open(number, PidfdFlags::empty()).ok()?;
    Some(Process(process))
}

/// LXC's monitors of this agent's containers, and processes that are about to become such.
pub fn monitors(agent: &TestAgent) -> Vec<u32> {
    let title = format!("[lxc monitor] {}", agent.path("lxc").display());
    let pids = names(Path::new("/proc")).into_iter();
    let pids = pids.filter_map(|name| name.parse().ok());
    pids.filter(|pid| command_line(*pid).starts_with(&title))
        .collect()
}

fn inits(agent: &TestAgent) -> Vec<u32> {
    let monitors = monitors(agent);
    monitors.iter().flat_map(|pid| children(*pid)).collect()
}

fn proxies(agent: &TestAgent) -> Vec<u32> {
    let mut all = children(agent.pid());
    all.retain(|pid| command_line(*pid).contains("softwarecontainer-dbus-proxy"));
    all
}

fn command_line(pid: u32) -> String {
    let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    String::from_utf8_lossy(&line).into_owned()
}

/// The children of a process (proc_pid_task(5)).
pub fn children(pid: u32) -> Vec<u32> {
    let task = PathBuf::from(format!("/proc/{pid}/task"));
    let lists = names(&task).into_iter().filter_map(|thread| {
        let path = task.join(thread).join("children");
        fs::read_to_string(path).ok()
    });
    let numbers = |list: String| -> Vec<u32> {
        let words = list.split_whitespace();
        words.map(|pid| pid.parse().unwrap()).collect()
    };
    lists.flat_map(numbers).collect()
}
