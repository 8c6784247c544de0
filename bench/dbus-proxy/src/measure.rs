//! Measurements on one route.

use std::time::Instant;

use crate::{peer::Client, setup::Route};

/// Round trips in µs.
#[derive(Clone, Default)]
pub struct Latency(Vec<f64>);

impl Latency {
    pub fn add(&mut self, more: Vec<f64>) {
        self.0.extend(more);
        self.0.sort_by(f64::total_cmp);
    }

    pub fn percentile(&self, percent: usize) -> f64 {
        self.0[(self.0.len() - 1) * percent / 100]
    }

    pub fn median(&self) -> f64 {
        self.percentile(50)
    }
}

/// Messages per second, and CPU time per message in µs, of each turn.
#[derive(Clone, Default)]
pub struct Throughput(Vec<(f64, f64)>);

impl Throughput {
    pub fn add(&mut self, turn: (f64, f64)) {
        self.0.push(turn);
    }

    pub fn median_rate(&mut self) -> f64 {
        self.0.sort_by(|a, b| a.0.total_cmp(&b.0));
        self.0[self.0.len() / 2].0
    }

    pub fn cpu(&mut self) -> f64 {
        self.0.sort_by(|a, b| a.1.total_cmp(&b.1));
        self.0[self.0.len() / 2].1
    }
}

pub fn round_trips(route: &Route, size: usize, count: u32) -> Vec<f64> {
    let mut client = Client::connect(&route.path);
    let call = client.call(&route.service, "Echo", size, true);
    for _ in 0..20 {
        client.round_trip(&call);
    }
    (0..count)
        .map(|_| {
            let start = Instant::now();
            client.round_trip(&call);
            start.elapsed().as_secs_f64() * 1e6
        })
        .collect()
}

/// Messages per second and CPU time per message.
pub fn stream(route: &Route, size: usize, count: u32) -> (f64, f64) {
    let mut client = Client::connect(&route.path);
    let call = client.call(&route.service, "Take", size, false);
    let last = client.call(&route.service, "Echo", 16, true);
    client.round_trip(&last);
    let (cpu, start) = (route.cpu(), Instant::now());
    for _ in 0..count {
        client.send(&call);
    }
    // Messages stay in order, so this answer means that all have arrived.
    client.round_trip(&last);
    let time = start.elapsed().as_secs_f64();
    let used = u32::try_from(route.cpu() - cpu).unwrap();
    (
        f64::from(count) / time,
        f64::from(used) / 1000.0 / f64::from(count),
    )
}

/// CPU time of a process in ns.
pub fn cpu(pid: u32) -> u64 {
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).unwrap();
    let time = |path: std::path::PathBuf| -> u64 {
        let text = std::fs::read_to_string(path.join("schedstat")).unwrap();
        text.split(' ').next().unwrap().parse().unwrap()
    };
    tasks.map(|task| time(task.unwrap().path())).sum()
}

/// Memory in KiB.
pub struct Cost {
    pub pss: u64,
    pub private: u64,
}

pub fn memory(route: &Route) -> Cost {
    let pid = route.pid.unwrap();
    let text = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap();
    let value = |key: &str| -> u64 {
        let line = text.lines().find(|line| line.starts_with(key)).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    };
    Cost {
        pss: value("Pss:"),
        private: value("Private_Clean:") + value("Private_Dirty:"),
    }
}
