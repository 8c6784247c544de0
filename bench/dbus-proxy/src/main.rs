//! Measures the D-Bus proxy: latency, throughput, CPU time and memory; a direct connection, our
//! proxy and xdg-dbus-proxy take turns in one run, so that the machine's moods hit all of them.
//!
//! Usage: `softwarecontainer-bench-dbus-proxy PROXY-BINARY`. Needs dbus-daemon and xdg-dbus-proxy,
//! and root, as the proxy sheds privileges it has to have first.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod measure;
mod peer;
mod setup;

use std::path::PathBuf;

use measure::{Cost, Latency, Throughput};
use setup::{Route, Setup};

const SIZES: [usize; 3] = [16, 1024, 64 * 1024];
const TURNS: usize = 10;

fn main() {
    let program = std::env::args_os()
        .nth(1)
        .expect("the path of softwarecontainer-dbus-proxy is missing");
    let program = PathBuf::from(program)
        .canonicalize()
        .expect("the proxy is not there");
    let setup = Setup::start(program);
    let routes = setup.routes();

    println!(
        "Round trip of a call with a string of that size, in µs: median (p99), and what is added to direct"
    );
    for size in SIZES {
        let trips = if size > 10_000 { 100 } else { 400 };
        let mut all = vec![Latency::default(); routes.len()];
        for _ in 0..TURNS {
            for (route, latency) in routes.iter().zip(&mut all) {
                latency.add(measure::round_trips(route, size, trips));
            }
        }
        let direct = all[0].median();
        for (route, latency) in routes.iter().zip(&mut all) {
            let (median, p99) = (latency.median(), latency.percentile(99));
            println!(
                "{size:>6} B  {:<12} {median:>7.1} ({p99:>7.1})  +{:.1}",
                route.name,
                median - direct
            );
        }
    }

    println!(
        "\nOne-way calls in a row: messages/s, MB/s, and CPU time of the proxy per message in µs"
    );
    for size in SIZES {
        let messages = if size > 10_000 { 2_000 } else { 20_000 };
        let mut all = vec![Throughput::default(); routes.len()];
        for _ in 0..TURNS {
            for (route, throughput) in routes.iter().zip(&mut all) {
                throughput.add(measure::stream(route, size, messages));
            }
        }
        for (route, throughput) in routes.iter().zip(&mut all) {
            let rate = throughput.median_rate();
            let bytes = rate * f64::from(u32::try_from(size).unwrap()) / 1e6;
            let cpu = throughput.cpu();
            println!(
                "{size:>6} B  {:<12} {rate:>9.0}/s {bytes:>7.1} MB/s  {cpu:>6.2} µs",
                route.name
            );
        }
    }

    println!("\nMemory after all that, with one connection open: PSS (private) in KiB");
    for route in routes.iter().filter(|route| route.pid.is_some()) {
        let _open = peer::Client::connect(&route.path);
        let Cost { pss, private } = measure::memory(route);
        println!("          {:<12} {pss} ({private})", route.name);
    }
}

impl Route {
    /// CPU time that the process in between has used, in ns.
    fn cpu(&self) -> u64 {
        self.pid.map_or(0, measure::cpu)
    }
}
