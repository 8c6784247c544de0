//! What a container uses now.

use std::{fs, os::fd::AsFd as _};

use softwarecontainer_network::{RuleCount, rule_counts};

use super::facts::{Facts, Place};
use crate::host::{
    cgroup::usage::{self, Usage},
    traffic::Traffic,
};

/// How many entries of `/gateways` are listed: an app may fill it.
const LISTED: usize = 256;

/// The space that a container has for what it writes: root tree and write buffers together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Storage {
    /// Bytes in use.
    pub used: u64,
    /// Bytes that there are.
    pub size: u64,
}

/// What a container uses.
#[derive(Debug)]
pub struct Statistics {
    /// What its processes use.
    pub usage: Usage,
    /// How many processes the kernel has killed because memory was short.
    pub oom_kills: u64,
    /// What went through its network interface, as its apps see it.
    pub traffic: Option<Traffic>,
    /// What each rule of its network has counted; none where that would take a program.
    pub rules: Vec<RuleCount>,
    /// What it has written.
    pub storage: Option<Storage>,
}

impl Statistics {
    /// Those of a container that runs.
    pub fn of(facts: &Facts) -> Option<Self> {
        let place = facts.place()?;
        let storage = rustix::fs::statvfs(&place.directory)
            .ok()
            .map(|it| Storage {
                used: it.f_blocks.saturating_sub(it.f_bfree) * it.f_frsize,
                size: it.f_blocks * it.f_frsize,
            });
        Some(Self {
            usage: Usage::of(&place.cgroups),
            oom_kills: usage::oom_kills(&place.cgroups),
            rules: rules(place).unwrap_or_default(),
            traffic: Traffic::of(&place.interface).map(Traffic::from_the_other_end),
            storage,
        })
    }
}

fn rules(place: &Place) -> Option<Vec<RuleCount>> {
    if !place.network.tells_counts() {
        return None;
    }
    // Both fail when the container has ended.
    let namespace = place.namespaces.network().ok()?;
    rule_counts(&place.network, namespace.as_fd()).ok()
}

impl Facts {
    /// What is in `/gateways`, some hundred entries at most: sockets that gateways have brought,
    /// and whatever the app has put there.
    pub fn sockets(&self) -> Vec<String> {
        let directory = self.place().map(|place| fs::read_dir(&place.gateways));
        let entries = directory.into_iter().flatten().flatten().flatten();
        let mut names: Vec<_> = entries
            .take(LISTED)
            .map(|entry| entry.file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        names
    }
}
