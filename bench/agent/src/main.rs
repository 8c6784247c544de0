//! Measures the agent as a launcher sees it, over D-Bus, and beside it liblxc, LXC's programs and a
//! bare spawn, all in one run, so that ratios mean something on any machine. Prints JSON; times are
//! in milliseconds.
//!
//! Usage: `softwarecontainer-bench [MODE] AGENT INIT [ROUNDS]` with the two program files of a
//! release build, as root. The mode `protections` measures what the protections of a container
//! cost, `growth` what each container costs those that come after it, `launches` what the D-Bus
//! filter and network rules add to a launch, and starts and stops of the agent, `media` what screen
//! and sound add to a launch (scripts/bench-media), and `others` a launch beside bwrap and crun.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod client;
mod growth;
mod launches;
mod media;
mod others;
mod protections;
mod reference;
mod statistics;
mod usage;
mod world;

use std::{path::PathBuf, sync::Arc, time::Duration};

use client::Client;
use serde_json::{Value, json};
use smol::{Executor, Timer};
use statistics::{PAUSE, Times, milliseconds};
use usage::Usage;
use world::World;

/// What is measured instead of the calls.
const MODES: [&str; 5] = ["protections", "growth", "launches", "media", "others"];
/// How many containers exist at the same time in the last part.
const MANY: usize = 50;

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let (mode, files) = match &arguments[1..] {
        [mode, files @ ..] if MODES.contains(&mode.as_str()) => (mode.as_str(), files),
        files => ("", files),
    };
    let [agent, init, rest @ ..] = files else {
        let modes = MODES.join("|");
        eprintln!("usage: softwarecontainer-bench [{modes}] AGENT INIT [ROUNDS]");
        return;
    };
    let rounds = rest
        .first()
        .map_or(30, |text| text.parse().expect("a number of rounds"));
    let path = |text: &str| PathBuf::from(text).canonicalize().expect("a program file");
    let (agent, init) = (path(agent), path(init));
    let executor = Arc::new(Executor::new());
    let result = smol::block_on(executor.run(async {
        match mode {
            "protections" => protections::run((&agent, &init), rounds, &executor).await,
            "growth" => growth::run((&agent, &init), rounds, &executor).await,
            "launches" => launches::run((&agent, &init), rounds, &executor).await,
            "media" => media::run((&agent, &init), rounds, &executor).await,
            "others" => others::run((&agent, &init), rounds, &executor).await,
            _ => run(&agent, &init, rounds, &executor).await,
        }
    }));
    println!("{result:#}");
}

async fn run(
    agent: &std::path::Path,
    init: &std::path::Path,
    rounds: usize,
    executor: &Arc<Executor<'static>>,
) -> Value {
    let mut world = World::new(agent, init, "");
    let client = Client::connect(&world.address, executor).await;
    let mut starts = Times::default();
    for _ in 0..5 {
        let started = std::time::Instant::now();
        world.start();
        client.wait_for_agent().await;
        starts.add(started.elapsed());
        world.stop();
    }
    world.start();
    client.wait_for_agent().await;
    client.destroy(client.create().await).await;
    Timer::after(Duration::from_secs(2)).await;
    let idle = usage::pss(world.pid());
    let before = Usage::of(&world);

    let mut calls = calls(&world, &client, rounds).await;
    calls.insert("start to bus name".to_owned(), starts.summary());
    let references = reference::measure(&world, &client, rounds).await;
    let (many, per_container) = many(&world, &client, executor).await;
    Timer::after(Duration::from_secs(2)).await;
    let after = Usage::of(&world);
    let idle_after = usage::pss(world.pid());
    world.stop();

    let median = |table: &serde_json::Map<String, Value>, name: &str| table[name]["median"].clone();
    let ratio = |name: &str, to: &str| {
        let (own, other) = (median(&calls, name), median(&references, to));
        json!((own.as_f64().unwrap() / other.as_f64().unwrap() * 100.0).round() / 100.0)
    };
    let ratios = json!({
        "Create to liblxc start": ratio("Create", "liblxc start"),
        "Create to lxc-start": ratio("Create", "lxc-start"),
        "Execute to lxc-attach": ratio("Execute to exit signal", "lxc-attach true"),
        "Execute to bare spawn": ratio("Execute to exit signal", "bare spawn of true"),
        "Destroy to liblxc stop": ratio("Destroy", "liblxc stop"),
    });
    json!({
        "rounds": rounds,
        "calls": calls,
        "references": references,
        "ratios": ratios,
        "50 containers": many,
        "PSS in KiB": {
            "agent idle": idle,
            "agent idle at the end": idle_after,
            "added by each container": per_container,
        },
        "program files in bytes": {"agent": file_size(agent), "init": file_size(init)},
        "counts": {"before": before.json(), "after": after.json(), "unchanged": before == after},
    })
}

fn file_size(path: &std::path::Path) -> u64 {
    std::fs::metadata(path).expect("a program file").len()
}

async fn calls(world: &World, client: &Client, rounds: usize) -> serde_json::Map<String, Value> {
    let [mut create, mut destroy, mut execute, mut bind, mut pause] = [const { Times::new() }; 5];
    let [mut set_small, mut set_network, mut repeat] = [const { Times::new() }; 3];
    let [mut list, mut list_busy] = [const { Times::new() }; 2];
    for _ in 0..rounds {
        Timer::after(PAUSE).await;
        let id = create.measure(client.create()).await;
        for _ in 0..5 {
            execute.measure(client.run(id, "/bin/true")).await;
        }
        for number in 0..3 {
            bind.measure(client.bind_mount(id, &world.shared(), &format!("/mnt/{number}")))
                .await;
        }
        pause
            .measure(async {
                client.suspend(id).await;
                client.resume(id).await;
            })
            .await;
        set_small
            .measure(client.set_capabilities(id, "bench.small"))
            .await;
        set_network
            .measure(client.set_capabilities(id, "bench.network"))
            .await;
        repeat
            .measure(client.set_capabilities(id, "bench.network"))
            .await;
        for _ in 0..10 {
            list.measure(client.list()).await;
        }
        // An idle container, as the target has it.
        Timer::after(PAUSE).await;
        destroy.measure(client.destroy(id)).await;
        Timer::after(PAUSE).await;
        let (id, mut during) = smol::future::zip(client.create(), async {
            let mut times = Times::new();
            for _ in 0..5 {
                times.measure(client.list()).await;
            }
            times
        })
        .await;
        list_busy.append(&mut during);
        Timer::after(PAUSE).await;
        destroy.measure(client.destroy(id)).await;
    }
    [
        ("Create", create),
        ("Destroy", destroy),
        ("Execute to exit signal", execute),
        ("BindMount", bind),
        ("Suspend and Resume", pause),
        ("SetCapabilities, env and file", set_small),
        ("SetCapabilities, 20 network rules", set_network),
        ("SetCapabilities, repeated", repeat),
        ("List", list),
        ("List while a Create runs", list_busy),
    ]
    .into_iter()
    .map(|(name, times)| (name.to_owned(), times.summary()))
    .collect()
}

/// Many containers: made one after the other and all at once, and what each costs.
async fn many(world: &World, client: &Client, executor: &Arc<Executor<'static>>) -> (Value, Value) {
    let before = usage::pss_of_all(world);
    let started = std::time::Instant::now();
    let mut ids = Vec::new();
    for _ in 0..MANY {
        ids.push(client.create().await);
    }
    let one_by_one = started.elapsed();
    Timer::after(Duration::from_secs(2)).await;
    let each = usage::pss_of_all(world).saturating_sub(before) / u64::try_from(MANY).unwrap();
    let started = std::time::Instant::now();
    for id in ids {
        client.destroy(id).await;
    }
    let destroyed = started.elapsed();
    let started = std::time::Instant::now();
    let tasks: Vec<_> = (0..MANY)
        .map(|_| {
            let client = client.clone();
            executor.spawn(async move { client.create().await })
        })
        .collect();
    let mut ids = Vec::new();
    for task in tasks {
        ids.push(task.await);
    }
    let at_once = started.elapsed();
    for id in ids {
        client.destroy(id).await;
    }
    let times = json!({
        "created one by one": milliseconds(one_by_one),
        "created at once": milliseconds(at_once),
        "destroyed one by one": milliseconds(destroyed),
    });
    (times, json!(each))
}
