//! What screen and sound add to a launch, in time and memory: with each of them and without, in
//! turns. The servers are those that the environment names; what it does not name is left out.

use std::{env, path::Path, sync::Arc, time::Duration};

use serde_json::{Value, json};
use smol::{Executor, Timer};

use crate::{
    client::Client,
    statistics::{PAUSE, Times},
    usage::{Usage, pss_of_all},
    world::World,
};

/// How many containers the memory is measured with.
const MANY: usize = 20;

/// Name, variable with the path of the server's socket, capability, configuration.
const KINDS: [(&str, &str, &str, &str); 4] = [
    (
        "wayland, the compositor's own socket",
        "BENCH_WAYLAND",
        "bench.wayland",
        "wayland-security-context = off\nwayland-socket",
    ),
    (
        "wayland, security context",
        "BENCH_WAYLAND",
        "bench.wayland",
        "wayland-security-context = required\nwayland-socket",
    ),
    (
        "pipewire",
        "BENCH_PIPEWIRE",
        "bench.pipewire",
        "pipewire-socket",
    ),
    (
        "pulseaudio",
        "BENCH_PULSE",
        "bench.pulseaudio",
        "pulse-socket",
    ),
];

/// One agent, and how long launches took.
struct Contender {
    name: &'static str,
    capability: Option<&'static str>,
    world: World,
    client: Client,
    launch: Times,
    grant: Times,
    destroy: Times,
}

impl Contender {
    async fn start(
        name: &'static str,
        capability: Option<&'static str>,
        settings: &str,
        programs: (&Path, &Path),
        executor: &Arc<Executor<'static>>,
    ) -> Self {
        let mut world = World::new(programs.0, programs.1, settings);
        world.start();
        let client = Client::connect(&world.address, executor).await;
        client.wait_for_agent().await;
        client.destroy(client.create().await).await;
        Self {
            name,
            capability,
            world,
            client,
            launch: Times::new(),
            grant: Times::new(),
            destroy: Times::new(),
        }
    }

    async fn grant(&mut self, id: i32) {
        if let Some(name) = self.capability {
            let granted = self.client.set_capabilities(id, name);
            self.grant.measure(granted).await;
        }
    }

    async fn round(&mut self) {
        Timer::after(PAUSE).await;
        let started = std::time::Instant::now();
        let id = self.client.create().await;
        self.grant(id).await;
        self.client.run(id, "/bin/true").await;
        self.launch.add(started.elapsed());
        Timer::after(PAUSE).await;
        self.destroy.measure(self.client.destroy(id)).await;
    }

    /// What each of many containers has the agent, and what it starts, use.
    async fn memory(&mut self) -> Value {
        let (usage, before) = (Usage::of(&self.world), pss_of_all(&self.world));
        let mut ids = Vec::new();
        for _ in 0..MANY {
            let id = self.client.create().await;
            self.grant(id).await;
            ids.push(id);
        }
        Timer::after(Duration::from_secs(1)).await;
        let count = u64::try_from(MANY).unwrap();
        let each = pss_of_all(&self.world).saturating_sub(before) / count;
        let added = Usage::of(&self.world).added_by_each_of(MANY, &usage);
        for id in ids {
            self.client.destroy(id).await;
        }
        json!({"KiB": each, "descriptors": added["descriptors"]})
    }
}

/// Times from the call of Create to the signal that the app has ended, which it does at once.
pub async fn run(
    programs: (&Path, &Path),
    rounds: usize,
    executor: &Arc<Executor<'static>>,
) -> Value {
    let mut contenders = vec![Contender::start("neither", None, "", programs, executor).await];
    for (name, variable, capability, key) in KINDS {
        if let Ok(socket) = env::var(variable) {
            let settings = format!("{key} = {socket}");
            let capability = Some(capability);
            let contender = Contender::start(name, capability, &settings, programs, executor);
            contenders.push(contender.await);
        }
    }
    for _ in 0..rounds {
        for contender in &mut contenders {
            contender.round().await;
        }
    }
    let mut table = serde_json::Map::new();
    for mut contender in contenders {
        let grant = std::mem::take(&mut contender.grant);
        let memory = contender.memory().await;
        contender.world.stop();
        let mut row = json!({
            "launch": contender.launch.summary(),
            "Destroy": contender.destroy.summary(),
            "each container": memory,
        });
        if contender.capability.is_some() {
            row["SetCapabilities of it"] = grant.summary();
        }
        table.insert(contender.name.to_owned(), row);
    }
    json!({ "rounds": rounds, "media": table })
}
