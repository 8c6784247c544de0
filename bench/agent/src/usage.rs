//! What the agent and its containers use.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
};

use serde_json::{Value, json};

use crate::world::World;

/// Counts of what could be left behind.
#[derive(Debug, PartialEq, Eq)]
pub struct Usage(BTreeMap<&'static str, usize>);

impl Usage {
    /// The counts now.
    pub fn of(world: &World) -> Self {
        let own = format!("/proc/{}", world.pid());
        let count = |path: &str| fs::read_dir(path).map_or(0, Iterator::count);
        let prefix = world.path("").to_str().unwrap().to_owned();
        let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
        let links = fs::read_dir("/sys/class/net").unwrap().flatten();
        Self(BTreeMap::from([
            ("descriptors", count(&format!("{own}/fd"))),
            ("threads", count(&format!("{own}/task"))),
            ("mounts", mounts.matches(&prefix).count()),
            (
                "network interfaces",
                links
                    .filter(|entry| entry.file_name().to_str().unwrap().ends_with(&world.bridge))
                    .count(),
            ),
            ("cgroups", cgroups("/sys/fs/cgroup")),
            (
                "directories",
                count(world.path("mounts").to_str().unwrap())
                    + count(world.path("lxc").to_str().unwrap()),
            ),
        ]))
    }

    /// What each of `count` containers that were made since `before` has added.
    pub fn added_by_each_of(&self, count: usize, before: &Self) -> Value {
        let added = self.0.iter().map(|(name, now)| {
            let added = now.saturating_sub(before.0[name]);
            let hundredths = u32::try_from(added * 100 / count.max(1)).unwrap();
            (*name, f64::from(hundredths) / 100.0)
        });
        json!(added.collect::<BTreeMap<_, _>>())
    }

    /// By name.
    pub fn json(&self) -> Value {
        json!(self.0)
    }
}

/// LXC's cgroups of all containers on this machine.
fn cgroups(directory: &str) -> usize {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    entries
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
        .map(|entry| {
            let own = entry.file_name().to_string_lossy().starts_with("lxc.");
            usize::from(own) + cgroups(entry.path().to_str().unwrap())
        })
        .sum()
}

/// The proportional set size of a process in KiB (proc_pid_smaps(5)).
pub fn pss(pid: u32) -> u64 {
    let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("Pss:"));
    line.and_then(|rest| rest.split_whitespace().next()?.parse().ok())
        .unwrap_or(0)
}

/// The proportional set size of the agent, LXC's monitors and all processes below them, in KiB.
pub fn pss_of_all(world: &World) -> u64 {
    let prefix = world.path("").to_str().unwrap().to_owned();
    let numbers = fs::read_dir("/proc").unwrap().flatten();
    let mut left: Vec<u32> = numbers
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        // The agent names its configuration, and a monitor the directory of its container's
        // configuration.
        .filter(|pid| {
            fs::read(format!("/proc/{pid}/cmdline"))
                .is_ok_and(|line| String::from_utf8_lossy(&line).contains(&prefix))
        })
        .collect();
    let mut known = BTreeSet::new();
    while let Some(pid) = left.pop() {
        if !known.insert(pid) {
            continue;
        }
        let tasks = fs::read_dir(format!("/proc/{pid}/task"));
        for task in tasks.into_iter().flatten().flatten() {
            let children = fs::read_to_string(task.path().join("children")).unwrap_or_default();
            left.extend(
                children
                    .split_whitespace()
                    .map(|pid| pid.parse::<u32>().unwrap()),
            );
        }
    }
    known.into_iter().map(pss).sum()
}
