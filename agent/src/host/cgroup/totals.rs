//! What all containers together may use of the machine.

use std::path::PathBuf;

use super::{CgroupError, Cgroups, CpuList, Version, memory, read, write};

/// Bounds of all containers together, whatever each of them may have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Totals {
    /// Percent of the machine's memory; 0 for no bound.
    pub memory: u32,
    /// Percent of the processes and threads that the kernel allows; 0 for no bound.
    pub processes: u32,
    /// Percent of the time of all processors; 0 for no bound.
    pub cpu: u32,
    /// Their weight at the processors, where every other cgroup's beside theirs is 100.
    pub cpu_weight: u32,
    /// Their weight at the disks, where everybody else's is 100.
    pub io_weight: Option<u32>,
    /// The processors that they run on.
    pub cpuset: Option<CpuList>,
}

impl Default for Totals {
    fn default() -> Self {
        Self {
            memory: 80,
            processes: 50,
            cpu: 0,
            cpu_weight: WEIGHT,
            io_weight: None,
            cpuset: None,
        }
    }
}

/// The machine that the percents are of.
#[derive(Debug, Clone, Copy)]
struct Machine {
    /// Bytes.
    memory: u64,
    processors: u32,
    /// Processes and threads.
    processes: u64,
}

/// Below the bound at which the kernel kills, by this part of it, it begins to slow down who wants
/// more, and to take back what can be given up. Wider, and a single container that wants all would
/// slow down the others for minutes instead of being killed (`memory.high` of cgroup-v2 in the
/// kernel's documentation).
const HIGH_PART: u64 = 32;
/// Microseconds in which a quota of processor time is to be used.
const PERIOD: u64 = 100_000;
/// The weight that a cgroup has by itself, at processors and disks.
const WEIGHT: u32 = 100;

/// The controllers that bound what all containers use together.
pub const CONTROLLERS: [&str; 5] = ["blkio", "cpu", "cpuset", "memory", "pids"];

/// One bound: the key that asks for it, whose files it is in, and these with their values; those
/// that this kernel has are written.
struct Bound {
    key: &'static str,
    asked: bool,
    controller: &'static str,
    files: Vec<(&'static str, String)>,
}

/// The setting of LXC for each container that stands for a bound of all: with v1 liblxc itself sets
/// the processors of each cgroup on the way to a container's.
pub fn lxc_item(cgroups: &Cgroups, totals: &Totals) -> Option<(&'static str, String)> {
    let is_v1 = cgroups.version("cpuset") == Some(Version::V1);
    let cpus = totals.cpuset.as_ref().filter(|_| is_v1)?;
    Some(("lxc.cgroup.cpuset.cpus", cpus.to_string()))
}

/// Bounds what is in `cgroups` as `totals` says, and takes back what an earlier agent has bounded.
/// Returns the keys that are without effect, because the kernel has nothing for them.
///
/// # Errors
/// [`CgroupError`].
pub fn set(cgroups: &Cgroups, totals: &Totals) -> Result<Vec<&'static str>, CgroupError> {
    let machine = Machine::this()?;
    let mut without_effect = Vec::new();
    for bound in bounds(totals, machine, |controller| cgroups.version(controller)) {
        let Ok(directory) = cgroups.directory(bound.controller) else {
            without_effect.extend(bound.asked.then_some(bound.key));
            continue;
        };
        let mut found = false;
        for (file, value) in bound.files {
            let path = directory.join(file);
            if path.exists() {
                found = true;
                write(&path, &value)?;
            }
        }
        if bound.asked && !found {
            without_effect.push(bound.key);
        }
    }
    Ok(without_effect)
}

fn bounds(
    totals: &Totals,
    machine: Machine,
    version: impl Fn(&str) -> Option<Version>,
) -> Vec<Bound> {
    let v1 = |controller| version(controller) == Some(Version::V1);
    let unlimited = |v1: bool| if v1 { "-1" } else { "max" }.to_owned();
    let part = |percent: u32, of: u64| (percent > 0).then(|| of / 100 * u64::from(percent));
    let text = |bound: Option<u64>, v1: bool| {
        bound.map_or_else(|| unlimited(v1), |bound| bound.to_string())
    };

    let memory = part(totals.memory, machine.memory);
    let high = memory.map(|bound| bound - bound / HIGH_PART);
    let memory_files = if v1("memory") {
        vec![("memory.limit_in_bytes", text(memory, true))]
    } else {
        vec![
            ("memory.high", text(high, false)),
            ("memory.max", text(memory, false)),
        ]
    };
    let quota = part(totals.cpu, u64::from(machine.processors) * PERIOD);
    let cpu_files = if v1("cpu") {
        vec![
            ("cpu.cfs_period_us", PERIOD.to_string()),
            ("cpu.cfs_quota_us", text(quota, true)),
        ]
    } else {
        vec![("cpu.max", format!("{} {PERIOD}", text(quota, false)))]
    };
    let weight_files = if v1("cpu") {
        vec![("cpu.shares", shares(totals.cpu_weight).to_string())]
    } else {
        vec![("cpu.weight", totals.cpu_weight.to_string())]
    };
    let weight = totals.io_weight.unwrap_or(WEIGHT);
    let (io, io_files) = if v1("blkio") {
        let file = ("blkio.bfq.weight", bfq_weight(weight).to_string());
        ("blkio", vec![file])
    } else {
        let files = vec![
            ("io.weight", weight.to_string()),
            ("io.bfq.weight", bfq_weight(weight).to_string()),
        ];
        ("io", files)
    };
    let cpus = totals.cpuset.as_ref().map(CpuList::to_string);
    let cpuset_files = if v1("cpuset") {
        Vec::new()
    } else {
        // An empty one is that of the cgroup above.
        vec![(
            "cpuset.cpus",
            cpus.clone().unwrap_or_else(|| "\n".to_owned()),
        )]
    };
    vec![
        Bound {
            key: "total-memory",
            asked: totals.memory > 0,
            controller: "memory",
            files: memory_files,
        },
        Bound {
            key: "total-processes",
            asked: totals.processes > 0,
            controller: "pids",
            files: vec![(
                "pids.max",
                text(part(totals.processes, machine.processes), false),
            )],
        },
        Bound {
            key: "total-cpu",
            asked: totals.cpu > 0,
            controller: "cpu",
            files: cpu_files,
        },
        Bound {
            key: "cpu-weight",
            asked: totals.cpu_weight != WEIGHT,
            controller: "cpu",
            files: weight_files,
        },
        Bound {
            key: "io-weight",
            asked: totals.io_weight.is_some(),
            controller: io,
            files: io_files,
        },
        Bound {
            key: "cpuset",
            asked: cpus.is_some() && !v1("cpuset"),
            controller: "cpuset",
            files: cpuset_files,
        },
    ]
}

/// The weight in the range of v1, where 1024 is the middle and 2 the least.
fn shares(weight: u32) -> u32 {
    (weight * 1024 / WEIGHT).max(2)
}

/// The weight in the range of the BFQ scheduler, 1 to 1000, where 100 is the middle as well.
fn bfq_weight(weight: u32) -> u32 {
    if weight <= WEIGHT {
        weight
    } else {
        WEIGHT + (weight - WEIGHT) * 900 / 9900
    }
}

impl Machine {
    fn this() -> Result<Self, CgroupError> {
        let online = read_as::<CpuList>("/sys/devices/system/cpu/online")?;
        Ok(Self {
            memory: memory::of_machine(),
            processors: online.count(),
            processes: read_as::<u64>("/proc/sys/kernel/pid_max")?
                .min(read_as("/proc/sys/kernel/threads-max")?),
        })
    }
}

fn read_as<T: std::str::FromStr<Err: std::error::Error + Send + Sync + 'static>>(
    path: &str,
) -> Result<T, CgroupError> {
    let path = PathBuf::from(path);
    read(&path)?.parse().map_err(|error| CgroupError::Read {
        path,
        source: std::io::Error::new(std::io::ErrorKind::InvalidData, error),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const MACHINE: Machine = Machine {
        memory: 3_200_000_000,
        processors: 4,
        processes: 32768,
    };

    fn all(totals: &Totals, version: Version) -> Vec<(String, String)> {
        bounds(totals, MACHINE, |_| Some(version))
            .into_iter()
            .flat_map(|bound| bound.files)
            .map(|(file, value)| (file.to_owned(), value))
            .collect()
    }

    fn pairs(expected: &[(&str, &str)]) -> Vec<(String, String)> {
        let pairs = expected.iter();
        pairs
            .map(|(file, value)| ((*file).to_owned(), (*value).to_owned()))
            .collect()
    }

    fn some() -> Totals {
        Totals {
            memory: 50,
            processes: 25,
            cpu: 75,
            cpu_weight: 10,
            io_weight: Some(10_000),
            cpuset: Some("1-3".parse().unwrap()),
        }
    }

    fn none() -> Totals {
        Totals {
            memory: 0,
            processes: 0,
            cpu: 0,
            cpu_weight: WEIGHT,
            io_weight: None,
            cpuset: None,
        }
    }

    #[test]
    fn percents_are_of_the_machine() {
        let v2 = [
            ("memory.high", "1550000000"),
            ("memory.max", "1600000000"),
            ("pids.max", "8175"),
            ("cpu.max", "300000 100000"),
            ("cpu.weight", "10"),
            ("io.weight", "10000"),
            ("io.bfq.weight", "1000"),
            ("cpuset.cpus", "1-3"),
        ];
        assert_eq!(all(&some(), Version::V2), pairs(&v2));
        let v1 = [
            ("memory.limit_in_bytes", "1600000000"),
            ("pids.max", "8175"),
            ("cpu.cfs_period_us", "100000"),
            ("cpu.cfs_quota_us", "300000"),
            ("cpu.shares", "102"),
            ("blkio.bfq.weight", "1000"),
        ];
        assert_eq!(all(&some(), Version::V1), pairs(&v1));
    }

    #[test]
    fn without_a_key_what_an_earlier_agent_has_set_is_taken_back() {
        let v2 = [
            ("memory.high", "max"),
            ("memory.max", "max"),
            ("pids.max", "max"),
            ("cpu.max", "max 100000"),
            ("cpu.weight", "100"),
            ("io.weight", "100"),
            ("io.bfq.weight", "100"),
            ("cpuset.cpus", "\n"),
        ];
        assert_eq!(all(&none(), Version::V2), pairs(&v2));
        let v1 = [
            ("memory.limit_in_bytes", "-1"),
            ("pids.max", "max"),
            ("cpu.cfs_period_us", "100000"),
            ("cpu.cfs_quota_us", "-1"),
            ("cpu.shares", "1024"),
            ("blkio.bfq.weight", "100"),
        ];
        assert_eq!(all(&none(), Version::V1), pairs(&v1));
        assert!(
            bounds(&none(), MACHINE, |_| None)
                .iter()
                .all(|bound| !bound.asked)
        );
    }
}
