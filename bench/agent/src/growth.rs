//! What each container costs those that come after it: `Create` beside none, 50, 100 and 200
//! others, and the descriptors and mounts of each.

use std::{path::Path, sync::Arc, time::Duration};

use serde_json::{Value, json};
use smol::{Executor, Timer};

use crate::{
    client::Client,
    statistics::{PAUSE, Times},
    usage::Usage,
    world::World,
};

/// How many others there are.
const STEPS: [usize; 4] = [0, 50, 100, 200];

/// The times of `Create` at each step, `rounds` times each.
pub async fn run(
    programs: (&Path, &Path),
    rounds: usize,
    executor: &Arc<Executor<'static>>,
) -> Value {
    let mut world = World::new(programs.0, programs.1, "max-containers = 250");
    world.start();
    let client = Client::connect(&world.address, executor).await;
    client.wait_for_agent().await;
    client.destroy(client.create().await).await;
    Timer::after(Duration::from_secs(1)).await;
    let before = Usage::of(&world);
    let mut others = Vec::new();
    let mut table = serde_json::Map::new();
    for step in STEPS {
        let mut in_turn = Times::new();
        while others.len() < step {
            others.push(in_turn.measure(client.create()).await);
        }
        let [mut create, mut destroy] = [const { Times::new() }; 2];
        for _ in 0..rounds {
            Timer::after(PAUSE).await;
            let id = create.measure(client.create()).await;
            Timer::after(PAUSE).await;
            destroy.measure(client.destroy(id)).await;
        }
        let mut row = json!({"Create": create.summary(), "Destroy": destroy.summary()});
        if step > 0 {
            row["Create of those since the last step, in turn"] = in_turn.summary();
        }
        table.insert(format!("beside {step}"), row);
    }
    let each = Usage::of(&world).added_by_each_of(others.len(), &before);
    for id in others {
        client.destroy(id).await;
    }
    Timer::after(Duration::from_secs(1)).await;
    let after = Usage::of(&world);
    world.stop();
    json!({
        "rounds": rounds,
        "containers": table,
        "added by each container": each,
        "counts": {"before": before.json(), "after": after.json(), "unchanged": before == after},
    })
}
