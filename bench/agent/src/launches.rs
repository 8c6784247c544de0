//! What the D-Bus filter and network rules add to a launch, with them and without, in turns; and
//! how long an idle agent takes to stop.

use std::{path::Path, sync::Arc, time::Duration};

use serde_json::{Value, json};
use smol::{Executor, Timer};

use crate::{
    client::Client,
    statistics::{PAUSE, Times},
    world::World,
};

/// How often an agent is started and stopped.
const STOPS: usize = 20;

/// The capabilities of each kind of launch.
const LAUNCHES: [(&str, &[&str]); 4] = [
    ("bare", &[]),
    ("D-Bus", &["bench.dbus"]),
    ("twenty rules", &["bench.network"]),
    ("D-Bus and twenty rules", &["bench.dbus", "bench.network"]),
];

/// Times from the call of Create to the signal that the app has ended, which it does at once.
pub async fn run(
    programs: (&Path, &Path),
    rounds: usize,
    executor: &Arc<Executor<'static>>,
) -> Value {
    let mut world = World::new(programs.0, programs.1, "");
    let client = Client::connect(&world.address, executor).await;
    let (mut starts, mut stops) = (Times::new(), Times::new());
    for _ in 0..STOPS {
        starts
            .measure(async {
                world.start();
                client.wait_for_agent().await;
            })
            .await;
        // It is idle when everything is prepared, which Create waits for.
        client.destroy(client.create().await).await;
        Timer::after(Duration::from_millis(500)).await;
        stops.measure(async { world.stop() }).await;
    }
    world.start();
    client.wait_for_agent().await;
    client.destroy(client.create().await).await;
    let mut launches = LAUNCHES.map(|_| Times::new());
    let mut grants = LAUNCHES.map(|_| Times::new());
    for _ in 0..rounds {
        for (((_, capabilities), launch), grant) in
            LAUNCHES.iter().zip(&mut launches).zip(&mut grants)
        {
            Timer::after(PAUSE).await;
            let id = launch
                .measure(async {
                    let id = client.create().await;
                    if !capabilities.is_empty() {
                        grant
                            .measure(client.set_all_capabilities(id, capabilities))
                            .await;
                    }
                    client.run(id, "/bin/true").await;
                    id
                })
                .await;
            Timer::after(PAUSE).await;
            client.destroy(id).await;
        }
    }
    world.stop();
    let mut table = serde_json::Map::new();
    for (((name, capabilities), launch), grant) in LAUNCHES.iter().zip(launches).zip(grants) {
        let mut times = json!({"launch": launch.summary()});
        if !capabilities.is_empty() {
            times["SetCapabilities of it"] = grant.summary();
        }
        table.insert((*name).to_owned(), times);
    }
    let median = |name: &str| table[name]["launch"]["median"].as_f64().unwrap_or(f64::NAN);
    let ratio = median("D-Bus and twenty rules") / median("bare");
    json!({
        "rounds": rounds,
        "launches": table,
        "D-Bus and twenty rules to bare": (ratio * 100.0).round() / 100.0,
        "start to bus name": starts.summary(),
        "stop of an idle agent": stops.summary(),
    })
}
