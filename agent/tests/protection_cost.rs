//! What the protections cost: the same calls with them and without, in turns. Run with `--ignored
//! --nocapture` on an idle machine.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::{
    fs,
    time::{Duration, Instant},
};

use support::{Setup, TestAgent};

const ROUNDS: usize = 20;
/// Switches off what the configuration has no key for.
const EXTRA: &str =
    "lxc.cap.keep =\nlxc.no_new_privs = 0\nlxc.mount.auto =\nlxc.mount.auto = proc:rw sys:rw\n";

fn with(config: &str) -> TestAgent {
    TestAgent::with(&Setup {
        config: config.to_owned(),
        ..Setup::default()
    })
}

#[derive(Default)]
struct Times {
    create: Vec<Duration>,
    execute: Vec<Duration>,
    destroy: Vec<Duration>,
}

fn round(agent: &TestAgent, times: &mut Times) {
    let timed = |list: &mut Vec<Duration>, start: Instant| list.push(start.elapsed());
    let mut start = Instant::now();
    let mut created = agent.client().create("[]");
    for _ in 0..5 {
        // Containers of other agents with the same ID can get in the way for a moment.
        if created.is_err() {
            start = Instant::now();
            created = agent.client().create("[]");
        }
    }
    let id = created.unwrap();
    timed(&mut times.create, start);
    let client = agent.client();
    let start = Instant::now();
    let pid = client.execute(id, "/bin/true", "", "", &[]).unwrap();
    client.wait_ended(id, pid);
    timed(&mut times.execute, start);
    let start = Instant::now();
    client.destroy(id).unwrap();
    timed(&mut times.destroy, start);
}

fn shown(times: &mut [Duration]) -> String {
    times.sort();
    let milliseconds = |time: Duration| time.as_secs_f64() * 1000.0;
    let (median, least) = (times[times.len() / 2], times[0]);
    format!("{:.1} ({:.1})", milliseconds(median), milliseconds(least))
}

#[test]
#[ignore = "a measurement"]
fn cost_of_the_protections() {
    let directory = tempfile::TempDir::new().unwrap();
    let extra = directory.path().join("extra.conf");
    fs::write(&extra, EXTRA).unwrap();
    let off = format!(
        "user-namespace = off\nseccomp-profile =\ndeprecated-lxc-config-path = {}",
        extra.display()
    );
    let agents = [
        ("all on", with("")),
        ("no seccomp", with("seccomp-profile =")),
        ("no user namespace", with("user-namespace = off")),
        ("all off", with(&off)),
    ];
    let mut times: Vec<Times> = agents.iter().map(|_| Times::default()).collect();
    for _ in 0..ROUNDS {
        for ((_, agent), times) in agents.iter().zip(&mut times) {
            round(agent, times);
        }
    }
    println!(
        "| median (least) of {ROUNDS}, ms | Create | Execute to exit signal | Destroy |\n|---|---|---|---|"
    );
    for ((name, _), times) in agents.iter().zip(&mut times) {
        println!(
            "| {name} | {} | {} | {} |",
            shown(&mut times.create),
            shown(&mut times.execute),
            shown(&mut times.destroy)
        );
        assert_eq!(times.create.len(), ROUNDS);
    }
}
