//! What the protections of a container cost: the same calls with them and without, in turns.

use std::{fs, path::Path, sync::Arc, time::Duration};

use serde_json::{Value, json};
use smol::{Executor, Timer};

use crate::{
    client::Client,
    statistics::{PAUSE, Times},
    world::World,
};

/// Switches off what the configuration has no key for.
const UNPROTECTED: &str =
    "lxc.cap.keep =\nlxc.no_new_privs = 0\nlxc.mount.auto =\nlxc.mount.auto = proc:rw sys:rw\n";

/// One agent, and how long its calls took.
struct Contender {
    name: &'static str,
    world: World,
    client: Client,
    create: Times,
    execute: Times,
    destroy: Times,
}

impl Contender {
    async fn start(
        name: &'static str,
        settings: &str,
        programs: (&Path, &Path),
        executor: &Arc<Executor<'static>>,
    ) -> Self {
        let mut world = World::new(programs.0, programs.1, settings);
        world.start();
        let client = Client::connect(&world.address, executor).await;
        client.wait_for_agent().await;
        Self {
            name,
            world,
            client,
            create: Times::new(),
            execute: Times::new(),
            destroy: Times::new(),
        }
    }

    async fn round(&mut self) {
        Timer::after(PAUSE).await;
        let id = self.create.measure(self.client.create()).await;
        self.execute.measure(self.client.run(id, "/bin/true")).await;
        Timer::after(PAUSE).await;
        self.destroy.measure(self.client.destroy(id)).await;
    }
}

/// The times of Create, Execute and Destroy for each set of protections.
pub async fn run(
    programs: (&Path, &Path),
    rounds: usize,
    executor: &Arc<Executor<'static>>,
) -> Value {
    let directory = tempfile::TempDir::new().unwrap();
    let extra = directory.path().join("extra.conf");
    fs::write(&extra, UNPROTECTED).unwrap();
    let none = format!(
        "user-namespace = off\nseccomp-profile =\ndeprecated-lxc-config-path = {}",
        extra.display()
    );
    let mut contenders = Vec::new();
    for (name, settings) in [
        ("all on", ""),
        ("no list of system calls", "seccomp-calls ="),
        ("no Landlock", "landlock = off"),
        ("no seccomp", "seccomp-profile ="),
        ("no user namespace", "user-namespace = off"),
        ("all off", &none),
    ] {
        contenders.push(Contender::start(name, settings, programs, executor).await);
    }
    Timer::after(Duration::from_secs(2)).await;
    for _ in 0..rounds {
        for contender in &mut contenders {
            contender.round().await;
        }
    }
    let mut table = serde_json::Map::new();
    for mut contender in contenders {
        contender.world.stop();
        let times = json!({
            "Create": contender.create.summary(),
            "Execute to exit signal": contender.execute.summary(),
            "Destroy": contender.destroy.summary(),
        });
        table.insert(contender.name.to_owned(), times);
    }
    json!({ "rounds": rounds, "protections": table })
}
