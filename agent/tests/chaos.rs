//! SIGKILL of the agent, of LXC's monitors, of inits and of D-Bus proxies at random moments, while
//! several launchers make calls: nothing is left in any table, what was written arrives, and ends
//! are told.
//!
//! `SOFTWARECONTAINER_CHAOS_KILLS` says how many are killed (50), and
//! `SOFTWARECONTAINER_CHAOS_SEED` repeats the choices of an earlier run.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "chaos/launcher.rs"]
mod launcher;
#[path = "chaos/random.rs"]
mod random;
mod support;
#[path = "chaos/tables.rs"]
mod tables;
#[path = "chaos/victims.rs"]
mod victims;

use std::{
    env, fs,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use launcher::{Known, Launchers};
use random::Random;
use serde_json::json;
use support::{Client, Ended, PATIENCE, Setup, TestAgent, wait_until};
use tables::Tables;
use victims::Victim;

/// How many are killed between two looks at what is left.
const ROUND: usize = 10;
/// How many launchers make calls at the same time.
const LAUNCHERS: usize = 3;

fn number(variable: &str) -> Option<u64> {
    env::var(variable).ok().map(|text| text.parse().unwrap())
}

/// What every container of the test may do: something of each gateway that has processes, rules or
/// mounts.
fn manifest() -> String {
    let everything = json!([{
        "direction": "*", "interface": "*", "object-path": "*", "method": "*",
    }]);
    json!({"version": "1", "capabilities": [{"name": launcher::CAPABILITY, "gateways": [
        {"id": "dbus", "config": [{"dbus-gateway-config-session": everything}]},
        {"id": "network", "config": [
            {"direction": "OUTGOING", "allow": [{"host": "192.0.2.7", "ports": [80, 443]}]},
        ]},
        {"id": "file", "config": [
            {"path-host": "/etc/hostname", "path-container": "/given/hostname", "read-only": true},
        ]},
        {"id": "env", "config": [{"name": "GIVEN", "value": "1"}]},
    ]}]})
    .to_string()
}

struct Chaos {
    agent: TestAgent,
    /// The host's directory that apps write to through write buffers.
    data: PathBuf,
    /// Hears every signal, whichever agent sends it.
    observer: Client,
    known: Vec<Known>,
    idle: Tables,
}

impl Chaos {
    fn new() -> Self {
        let agent = TestAgent::with(&Setup::manifest(&manifest()));
        let data = agent.path("data");
        fs::create_dir(&data).unwrap();
        let observer = agent.new_client();
        // What the first container makes stays as long as the agent.
        let id = agent.create();
        let client = agent.client();
        client
            .set_capabilities(id, &[launcher::CAPABILITY])
            .unwrap();
        client
            .bind_mount(id, "/usr/share", "/mnt/share", true)
            .unwrap();
        let pid = client.execute(id, "true", "", "", &[]).unwrap();
        client.wait_ended(id, pid);
        client.destroy(id).unwrap();
        let idle = Tables::settled(&agent);
        Self {
            data,
            observer,
            known: Vec::new(),
            agent,
            idle,
        }
    }

    /// Kills so many; how many of them were agents.
    fn round(&mut self, kills: usize, random: &mut Random) -> usize {
        let launchers = Launchers::start(&self.agent, &self.data, LAUNCHERS, random);
        let (mut left, mut agents) = (kills, 0);
        while left > 0 {
            std::thread::sleep(Duration::from_millis(random.below(200)));
            let Some(victim) = victims::choose(&self.agent, random) else {
                continue;
            };
            left -= 1;
            match victim {
                Victim::Agent => {
                    agents += 1;
                    self.agent.kill();
                    self.agent.start_agent();
                }
                Victim::Other(process) => process.kill(),
            }
        }
        self.known.extend(launchers.stop());
        agents
    }

    /// After a round: everything can be destroyed, and is gone then.
    fn check(&mut self, agents_killed: usize) {
        let client = self.agent.client();
        for id in client.list().unwrap() {
            client.destroy(id).unwrap();
        }
        let deadline = Instant::now() + *PATIENCE;
        loop {
            let left = Tables::now(&self.agent).excess(&self.idle);
            if left.is_empty() {
                break;
            }
            assert!(Instant::now() < deadline, "left behind: {left}");
            std::thread::sleep(Duration::from_millis(100));
        }
        self.check_ends(agents_killed);
        self.check_data();
    }

    /// The end of each process that a launcher knows is told. Twice at most where the agent was
    /// killed just after the signal.
    fn check_ends(&self, agents_killed: usize) {
        let ends = |known: &Known| {
            let told = self.observer.unclaimed().into_iter();
            told.filter(|end| (end.container, end.pid) == (known.container, known.pid))
                .count()
        };
        for known in &self.known {
            let what = format!("the end of {known:?} is told");
            wait_until(&what, || ends(known) > 0);
        }
        let twice = self.known.iter().filter(|it| ends(it) > 1).count();
        assert!(
            twice <= agents_killed,
            "{twice} ends were told more than once"
        );
    }

    /// What a process has written that has ended well is on the host.
    fn check_data(&mut self) {
        let told = self.observer.unclaimed();
        for known in std::mem::take(&mut self.known) {
            let is_its = |end: &&Ended| (end.container, end.pid) == (known.container, known.pid);
            let ends: Vec<_> = told.iter().filter(is_its).collect();
            // Of several with the same numbers, one could be that of another process.
            let is_well = !ends.is_empty() && ends.iter().all(|end| end.exit_code == 0);
            if let Some(name) = known.file.as_ref().filter(|_| is_well) {
                let text = fs::read_to_string(self.data.join(name));
                let wanted = format!("{name}\n");
                assert_eq!(text.ok(), Some(wanted), "{known:?} is lost: {ends:?}");
            }
        }
    }
}

#[test]
fn whatever_is_killed_nothing_is_left_and_nothing_is_lost() {
    let kills = usize::try_from(number("SOFTWARECONTAINER_CHAOS_KILLS").unwrap_or(50)).unwrap();
    let seed = number("SOFTWARECONTAINER_CHAOS_SEED").unwrap_or_else(random::seed);
    println!("SOFTWARECONTAINER_CHAOS_SEED={seed}");
    let mut random = Random::new(seed);
    let mut chaos = Chaos::new();
    let mut left = kills;
    while left > 0 {
        let now = left.min(ROUND);
        let agents_killed = chaos.round(now, &mut random);
        chaos.check(agents_killed);
        left -= now;
    }
    assert_eq!(chaos.agent.stop(), Some(0), "{}", chaos.agent.log());
    assert!(
        !Path::new("/sys/class/net")
            .join(&chaos.agent.bridge)
            .exists()
    );
}
