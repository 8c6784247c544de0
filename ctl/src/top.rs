//! `top`: what containers use, again and again.

use std::{
    collections::BTreeMap,
    io::{self, IsTerminal as _},
    time::{Duration, Instant},
};

use smol::Timer;
use softwarecontainer_client::Client;

use crate::{
    error::Error,
    output::{harmless, print, table},
    statistics::Statistics,
    units::bytes,
};

const PERIOD: Duration = Duration::from_secs(1);
/// The cursor to the first place, and everything removed (console_codes(4)).
const CLEAR: &str = "\x1b[H\x1b[J";
const HEAD: [&str; 8] = [
    "ID", "APP", "CPU", "MEMORY", "TASKS", "RECEIVED", "SENT", "STORAGE",
];

/// What a container had used at a time.
struct Sample {
    time: Instant,
    app: String,
    statistics: Statistics,
}

type Samples = BTreeMap<i32, Sample>;

/// Prints tables, `rounds` of them; without a number one if nobody looks at a terminal, and else
/// until it is ended.
///
/// # Errors
/// [`Error`].
pub async fn top(client: &Client, rounds: Option<u32>) -> Result<(), Error> {
    let live = io::stdout().is_terminal();
    let mut left = rounds.or((!live).then_some(1));
    let mut before = sample(client, &Samples::new()).await?;
    while left != Some(0) {
        Timer::after(PERIOD).await;
        let now = sample(client, &before).await?;
        let mut rows: Vec<_> = now
            .iter()
            .filter_map(|(id, now)| Some(row(*id, before.get(id)?, now)))
            .collect();
        // What uses most is at the top.
        rows.sort_by_key(|(cpu, _)| std::cmp::Reverse(*cpu));
        let rows: Vec<_> = rows.into_iter().map(|(_, row)| row).collect();
        let clear = if live { CLEAR } else { "" };
        print(&format!("{clear}{}", table(&HEAD, &rows)))?;
        before = now;
        left = left.map(|left| left - 1);
    }
    Ok(())
}

async fn sample(client: &Client, before: &Samples) -> Result<Samples, Error> {
    let mut samples = Samples::new();
    for id in client.containers().await? {
        // One that is gone meanwhile is not there.
        let Ok(statistics) = Statistics::of(client, id).await else {
            continue;
        };
        let app = match before.get(&id) {
            Some(before) => before.app.clone(),
            None => client
                .container(id)
                .await?
                .app_id()
                .await
                .unwrap_or_default(),
        };
        let sample = Sample {
            time: Instant::now(),
            app,
            statistics,
        };
        samples.insert(id, sample);
    }
    Ok(samples)
}

fn row(id: i32, before: &Sample, now: &Sample) -> (u64, Vec<String>) {
    let passed = (now.time - before.time).as_micros();
    let rate = |name: &str, per: u128| {
        let (last, this) = (before.statistics.count(name)?, now.statistics.count(name)?);
        let rate = u128::from(this.saturating_sub(last)) * per / passed.max(1);
        u64::try_from(rate).ok()
    };
    // In tenths of a percent of one processor.
    let cpu = rate("cpu-time", 1000);
    let traffic = |name: &str| rate(name, 1_000_000).map(|rate| format!("{}/s", bytes(rate)));
    let count = |name: &str| now.statistics.count(name);
    let of = |used: Option<String>, most: Option<String>| match (used, most) {
        (Some(used), Some(most)) => format!("{used} of {most}"),
        (Some(used), None) => used,
        (None, _) => "-".to_owned(),
    };
    let amount = |name: &str| count(name).map(bytes);
    let number = |name: &str| count(name).map(|it| it.to_string());
    let row = vec![
        id.to_string(),
        harmless(&now.app),
        cpu.map_or_else(|| "-".to_owned(), |it| format!("{}.{}%", it / 10, it % 10)),
        of(amount("memory"), amount("memory-limit")),
        of(number("tasks"), number("tasks-limit")),
        of(traffic("network-received"), None),
        of(traffic("network-sent"), None),
        of(amount("storage"), amount("storage-size")),
    ];
    (cpu.unwrap_or(0), row)
}
