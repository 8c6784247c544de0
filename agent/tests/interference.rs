//! What bombs in eight containers do to a function of the car that has to run every 10 ms.
//!
//! A measurement, in turns: `scripts/interference`; in the ARM guest it is one turn.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::{
    env, fs, thread,
    time::{Duration, Instant},
};

use softwarecontainer_agent::host::cgroup::{Cgroups, memory::of_machine, read};
use support::{Client, Setup, TestAgent, wait_until};

const CYCLE: Duration = Duration::from_millis(10);
const CYCLES: u32 = 300;
const CONTAINERS: usize = 8;
/// How many turns there are, unless it is 5.
const TURNS: &str = "SOFTWARECONTAINER_INTERFERENCE_TURNS";
/// How often a start is tried again that others have kept from the processors.
const TRIES: usize = 5;
/// The shell does not end by itself, whatever fails.
const FORK_BOMB: &str = "sh -c 'b() { b | b & }; while :; do b; sleep 1; done'";
const MEMORY_BOMB: &str = "sh -c 'while :; do dd if=/dev/zero of=/dev/null bs=400M count=1; done'";
const DISK_BOMB: &str =
    "sh -c 'while :; do dd if=/dev/zero of=/mnt/disk/bomb bs=1M count=64 conv=fsync; done'";

/// How the function fares: how often it came to run only when the next time was due already, and
/// how late at most.
#[derive(Debug, Default)]
struct Fared {
    missed: u32,
    latest: Duration,
}

fn run_every_cycle() -> Fared {
    let mut fared = Fared::default();
    let mut due = Instant::now() + CYCLE;
    for _ in 0..CYCLES {
        thread::sleep(due.saturating_duration_since(Instant::now()));
        // It draws something.
        let frame: u64 = (0..20_000_u64).map(std::hint::black_box).sum();
        std::hint::black_box(frame);
        let late = Instant::now().saturating_duration_since(due);
        fared.latest = fared.latest.max(late);
        if late >= CYCLE {
            fared.missed += 1;
        }
        due += CYCLE;
        if late > CYCLE {
            due = Instant::now() + CYCLE;
        }
    }
    fared
}

/// Starts an agent and its containers.
fn with_containers(cpu_weight: &str) -> (TestAgent, Vec<i32>) {
    // Some 64 MiB each.
    let share = (64_u64 << 20).saturating_mul(100).div_ceil(of_machine());
    // Each app is killed for itself, so that there is always one.
    let agent = TestAgent::with(&Setup {
        config: format!(
            "total-memory = 25\ntotal-cpu = 50\ncpu-weight = {cpu_weight}\nio-weight = 10\n\
             max-memory-share = {share}\noom-group = false\nmax-processes = 64\n"
        ),
        ..Setup::default()
    });
    let ids = (0..CONTAINERS).map(|_| agent.create()).collect();
    (agent, ids)
}

/// On a machine that is busy with something else a start may be late; nothing else may be wrong.
fn start(client: &Client, id: i32, bomb: &str) {
    for _ in 0..TRIES {
        match client.execute(id, bomb, "", "", &[]) {
            Ok(_) => return,
            Err((_, text)) => assert!(text.contains("did not start in time"), "{text}"),
        }
        println!("container {id}: a bomb did not start in time");
    }
    panic!("container {id} starts nothing");
}

/// Starts bombs in all of them.
fn bomb(agent: &TestAgent, ids: &[i32]) {
    let client = agent.client();
    for (number, &id) in ids.iter().enumerate() {
        let disk = agent.path(&format!("disk-{number}"));
        fs::create_dir(&disk).unwrap();
        client
            .bind_mount(id, disk.to_str().unwrap(), "/mnt/disk", false)
            .unwrap();
    }
    for bomb in [DISK_BOMB, MEMORY_BOMB, FORK_BOMB] {
        for &id in ids {
            start(client, id, bomb);
        }
    }
    for number in 0..CONTAINERS {
        let file = agent.path(&format!("disk-{number}/bomb"));
        wait_until("the disk is written to", || file.exists());
    }
    let counted = |controller: &str, files: [&str; 2], event: &str| {
        let cgroups = Cgroups::of_process(agent.init_pid(ids[0])).unwrap();
        let directory = cgroups.directory(controller).unwrap();
        let text = files.iter().find_map(|it| read(&directory.join(it)).ok());
        let count = |line: &str| line.strip_prefix(event).map(|it| it.trim() != "0");
        text.unwrap().lines().find_map(count).unwrap()
    };
    let killed = || {
        counted(
            "memory",
            ["memory.events", "memory.oom_control"],
            "oom_kill ",
        )
    };
    let refused = || counted("pids", ["pids.events"; 2], "max ");
    wait_until("memory bombs are killed", killed);
    wait_until("fork bombs meet their bound", refused);
}

#[test]
#[ignore = "a measurement, see scripts/interference"]
fn a_function_with_a_cycle_of_10_ms_beside_bombs_in_eight_containers() {
    let turns = env::var(TURNS).map_or(5, |turns| turns.parse().unwrap());
    for turn in 1..=turns {
        report(turn, "without containers", &run_every_cycle());
        for cpu_weight in ["100", "10"] {
            let (agent, ids) = with_containers(cpu_weight);
            report(turn, "beside eight idle containers", &run_every_cycle());
            bomb(&agent, &ids);
            let fared = run_every_cycle();
            report(
                turn,
                &format!("beside bombs, cpu-weight = {cpu_weight}"),
                &fared,
            );
            assert_eq!(agent.client().list().unwrap().len(), CONTAINERS);
            for id in ids {
                agent.client().destroy(id).unwrap();
            }
        }
    }
}

fn report(turn: usize, when: &str, fared: &Fared) {
    println!(
        "turn {turn}, {when}: {} of {CYCLES} cycles missed, at most {} ms late",
        fared.missed,
        fared.latest.as_millis()
    );
}
