//! `status`: the agent, or one container, as a person wants to know it.

use std::collections::BTreeMap;

use softwarecontainer_client::Client;

use crate::{
    error::Error,
    output::{harmless, lines},
    show::about,
    statistics::Statistics,
    units::{age, bytes},
};

/// The agent and its containers.
pub async fn agent(client: &Client) -> Result<String, Error> {
    let bus = |error: zbus::Error| Error::from(softwarecontainer_client::Error::from(error));
    let version = client.manager().version().await.map_err(bus)?;
    let mut text = vec![field("Agent", &format!("version {version}"))];
    let capabilities = client.agent().list_capabilities().await?;
    text.push(field("Capabilities", &capabilities.len().to_string()));
    let mut states: BTreeMap<String, usize> = BTreeMap::new();
    let (mut memory, mut tasks) = (0, 0);
    for id in client.containers().await? {
        // One that is gone meanwhile is not there.
        let Ok(state) = client.container(id).await?.state().await else {
            continue;
        };
        *states.entry(state).or_default() += 1;
        if let Ok(statistics) = Statistics::of(client, id).await {
            memory += statistics.count("memory").unwrap_or(0);
            tasks += statistics.count("tasks").unwrap_or(0);
        }
    }
    let of_states: Vec<_> = states
        .iter()
        .map(|(state, count)| format!("{count} {state}"))
        .collect();
    let containers = match of_states.is_empty() {
        true => "none".to_owned(),
        false => of_states.join(", "),
    };
    text.push(field("Containers", &containers));
    text.push(field("Memory", &bytes(memory)));
    text.push(field("Tasks", &tasks.to_string()));
    Ok(lines(&text))
}

/// One container.
pub async fn container(client: &Client, id: i32) -> Result<String, Error> {
    let bus = |error| about(id, error);
    let container = client.container(id).await?;
    let state = container.state().await.map_err(bus)?;
    let reason = container.state_reason().await.map_err(bus)?;
    let mut text = vec![field("State", &format!("{state} ({reason})"))];
    let (app, label) = (
        container.app_id().await.map_err(bus)?,
        container.label().await.map_err(bus)?,
    );
    for (name, value) in [("App", app), ("Label", label)] {
        if !value.is_empty() {
            text.push(field(name, &value));
        }
    }
    let creator = container.creator().await.map_err(bus)?;
    let since = container.since().await.map_err(bus)?;
    text.push(field(
        "Created",
        &format!("{} ago by user {creator}", age(since)),
    ));
    let addresses = container.addresses().await.map_err(bus)?;
    text.push(field("Addresses", &addresses.join(", ")));
    let capabilities = container.capabilities().await.map_err(bus)?;
    text.push(field("Capabilities", &capabilities.join(", ")));
    text.extend(used(&Statistics::of(client, id).await?));
    for (pid, command, since) in container.processes().await.map_err(bus)? {
        let process = format!("{pid}, for {}: {command}", age(since));
        text.push(field("Process", &process));
    }
    for (pid, command, details) in container.ended().await.map_err(bus)? {
        let details = Statistics::from(details);
        let status = details.count("status").unwrap_or(0);
        let how = how(status, details.text("reason"));
        let time = age(details.count("time").unwrap_or(0));
        text.push(field(
            "Ended",
            &format!("{pid}, {time} ago, {how}: {command}"),
        ));
        let advice = details.text("advice");
        if !advice.is_empty() {
            text.push(field("Advice", advice));
        }
    }
    for (gateway, what, count, time) in container.refused().await.map_err(bus)? {
        let refused = format!("{gateway}: {what} ({count} times, {} ago)", age(time));
        text.push(field("Refused", &refused));
    }
    Ok(lines(&text))
}

/// What it uses of what it may use.
fn used(statistics: &Statistics) -> Vec<String> {
    let mut text = Vec::new();
    let count = |name: &str| statistics.count(name);
    let limit = |name: &str, of: fn(u64) -> String| {
        count(name).map_or_else(String::new, |limit| format!(" of {}", of(limit)))
    };
    if let Some(cpu) = count("cpu-time") {
        let cpu = format!("{}.{:02} s", cpu / 1_000_000, cpu / 10_000 % 100);
        text.push(field("Processor", &cpu));
    }
    if let Some(memory) = count("memory") {
        let peak = count("memory-peak");
        let peak = peak.map_or_else(String::new, |peak| format!(", {} at most", bytes(peak)));
        let limit = limit("memory-limit", bytes);
        text.push(field("Memory", &format!("{}{limit}{peak}", bytes(memory))));
    }
    if let Some(kills) = count("oom-kills").filter(|kills| *kills > 0) {
        let kills = format!("{kills} processes were killed: more memory than it may use");
        text.push(field("Out of memory", &kills));
    }
    if let Some(tasks) = count("tasks") {
        let limit = limit("tasks-limit", |limit| limit.to_string());
        text.push(field("Tasks", &format!("{tasks}{limit}")));
    }
    if let (Some(received), Some(sent)) = (count("network-received"), count("network-sent")) {
        let network = format!("{} received, {} sent", bytes(received), bytes(sent));
        text.push(field("Network", &network));
    }
    if let Some(storage) = count("storage") {
        let limit = limit("storage-size", bytes);
        text.push(field("Storage", &format!("{}{limit}", bytes(storage))));
    }
    text
}

/// A wait status and what is known of it, in words.
fn how(status: u64, reason: &str) -> String {
    let [low, high, ..] = status.to_le_bytes();
    match (low & 0x7f, reason) {
        (0, _) => format!("status {high}"),
        (signal, "signal") => format!("signal {signal}"),
        (signal, reason) => format!("signal {signal} ({reason})"),
    }
}

fn field(name: &str, value: &str) -> String {
    harmless(&format!("{name:>13}: {value}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_is_told_in_words() {
        assert_eq!(how(3 << 8, "exit"), "status 3");
        assert_eq!(how(11 | 0x80, "signal"), "signal 11");
        assert_eq!(how(9, "out-of-memory"), "signal 9 (out-of-memory)");
    }
}
