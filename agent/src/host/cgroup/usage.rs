//! What the processes of cgroups use, as the kernel counts it in either version of its interface
//! (kernel documentation, cgroup-v2 and cgroup-v1).

use std::path::PathBuf;

use super::{Cgroups, Version, read};

/// What v1 writes for no limit is the largest number of whole pages; no machine has so much.
pub(super) const UNLIMITED: u64 = 1 << 60;

/// How long processes waited for something that was short (kernel documentation, accounting/psi).
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Pressure {
    /// The share of the last ten seconds in which some process waited, in percent.
    pub last_ten_seconds: f64,
    /// How long some process has waited altogether, in microseconds.
    pub total: u64,
}

/// What the processes of a container use. `None` is what the kernel does not count on this host.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Usage {
    /// Processor time, in microseconds.
    pub cpu: Option<u64>,
    /// Memory in use, in bytes.
    pub memory: Option<u64>,
    /// The most memory that was in use, in bytes.
    pub memory_peak: Option<u64>,
    /// The most memory that may be in use, in bytes.
    pub memory_limit: Option<u64>,
    /// Processes and threads.
    pub tasks: Option<u64>,
    /// The most processes and threads that there may be.
    pub tasks_limit: Option<u64>,
    /// How long they waited for the processor.
    pub cpu_pressure: Option<Pressure>,
    /// For memory.
    pub memory_pressure: Option<Pressure>,
    /// For disks.
    pub io_pressure: Option<Pressure>,
}

impl Usage {
    /// What the processes in `cgroups` use.
    pub fn of(cgroups: &Cgroups) -> Self {
        let number = |controller: &str, v1: &str, v2: &str| {
            let (version, directory) = place(cgroups, controller)?;
            let file = match version {
                Version::V1 => v1,
                Version::V2 => v2,
            };
            read(&directory.join(file)).ok()?.parse().ok()
        };
        let limit = |value: Option<u64>| value.filter(|value| *value < UNLIMITED);
        let pressure = |file: &str| {
            let text = read(&cgroups.unified()?.join(file)).ok()?;
            pressure(&text)
        };
        let memory = |v1: &str, v2: &str| number("memory", v1, v2);
        Self {
            cpu: cpu(cgroups),
            memory: memory("memory.usage_in_bytes", "memory.current"),
            memory_peak: memory("memory.max_usage_in_bytes", "memory.peak"),
            memory_limit: limit(memory("memory.limit_in_bytes", "memory.max")),
            tasks: number("pids", "pids.current", "pids.current"),
            tasks_limit: limit(number("pids", "pids.max", "pids.max")),
            cpu_pressure: pressure("cpu.pressure"),
            memory_pressure: pressure("memory.pressure"),
            io_pressure: pressure("io.pressure"),
        }
    }
}

fn place(cgroups: &Cgroups, controller: &str) -> Option<(Version, PathBuf)> {
    Some((
        cgroups.version(controller)?,
        cgroups.directory(controller).ok()?,
    ))
}

fn cpu(cgroups: &Cgroups) -> Option<u64> {
    if let Some((Version::V1, directory)) = place(cgroups, "cpuacct") {
        let nanoseconds: u64 = read(&directory.join("cpuacct.usage")).ok()?.parse().ok()?;
        return Some(nanoseconds / 1000);
    }
    let text = read(&cgroups.unified()?.join("cpu.stat")).ok()?;
    counter(&text, "usage_usec")
}

/// How many processes in `cgroups` the kernel has killed because memory was short.
pub fn oom_kills(cgroups: &Cgroups) -> u64 {
    let text = place(cgroups, "memory").and_then(|(version, directory)| {
        let file = match version {
            Version::V1 => "memory.oom_control",
            Version::V2 => "memory.events",
        };
        read(&directory.join(file)).ok()
    });
    counter(&text.unwrap_or_default(), "oom_kill").unwrap_or(0)
}

/// How often a process could not be started in `cgroups` because there were too many.
pub fn refused_tasks(cgroups: &Cgroups) -> u64 {
    let events = place(cgroups, "pids").map(|(_, directory)| directory.join("pids.events"));
    let text = events.and_then(|file| read(&file).ok());
    counter(&text.unwrap_or_default(), "max").unwrap_or(0)
}

/// A value of a flat keyed file.
fn counter(text: &str, key: &str) -> Option<u64> {
    text.lines().find_map(|line| {
        let (name, value) = line.split_once(' ')?;
        (name == key).then(|| value.parse().ok()).flatten()
    })
}

/// The line `some` of a pressure file.
fn pressure(text: &str) -> Option<Pressure> {
    let line = text.lines().find_map(|line| line.strip_prefix("some "))?;
    let value = |key: &str| {
        line.split(' ')
            .find_map(|field| field.strip_prefix(key)?.strip_prefix('='))
    };
    Some(Pressure {
        last_ten_seconds: value("avg10")?.parse().ok()?,
        total: value("total")?.parse().ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_counter_is_found_by_its_whole_name() {
        let events = "low 0\nhigh 0\nmax 7\noom 2\noom_kill 3\noom_group_kill 1";
        assert_eq!(counter(events, "oom_kill"), Some(3));
        assert_eq!(counter(events, "oom_"), None);
        assert_eq!(counter("oom_kill x", "oom_kill"), None);
        assert_eq!(counter("", "oom_kill"), None);
    }

    #[test]
    fn pressure_is_the_time_that_some_process_waited() {
        let text = "some avg10=1.25 avg60=0.52 avg300=0.10 total=12345\n\
                    full avg10=9.00 avg60=9.00 avg300=9.00 total=9";
        let expected = Pressure {
            last_ten_seconds: 1.25,
            total: 12345,
        };
        assert_eq!(pressure(text), Some(expected));
        assert_eq!(pressure("full avg10=0.00 total=9"), None);
        assert_eq!(pressure("some avg10=0.00"), None);
    }

    #[test]
    fn every_process_uses_something() {
        let own = Cgroups::of_process(std::process::id()).unwrap();
        assert!(Usage::of(&own).cpu.is_some_and(|cpu| cpu > 0));
    }
}
