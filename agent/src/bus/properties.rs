//! The properties and statistics of a container, as values for the bus.

use std::{
    path::PathBuf,
    time::{SystemTime, UNIX_EPOCH},
};

use softwarecontainer_capability::GatewayConfig;
use softwarecontainer_network::{Family, RuleCount};
use zbus::Variant;

use super::values::{Values, described};
use crate::{
    container::{ending::Ending, facts::Facts, statistics::Statistics},
    host::traffic::Traffic,
};

/// Those that change, and are told when they do.
pub const STATE: [&str; 2] = ["State", "StateReason"];
/// The capabilities that were set.
pub const CAPABILITIES: &str = "Capabilities";
/// What launchers have mounted.
pub const MOUNTS: &str = "Mounts";
/// What launchers have started.
pub const PROCESSES: &str = "Processes";
/// Not told when it changes; it is looked up on the host.
const SOCKETS: &str = "Sockets";
/// Likewise; what is known of a name changes with each answer.
const NAMES: &str = "Names";

/// Nor are these.
const REFUSED: &str = "Refused";
const ENDED: &str = "Ended";

/// What is known of the end of a process, as of `ProcessEnded`.
pub fn ending(ending: &Ending) -> Values {
    let mut details: Values = vec![("reason", ending.cause.name().into())];
    if ending.has_core() {
        details.push(("core", true.into()));
    }
    if !ending.calls.is_empty() {
        details.push(("system-calls", ending.calls.clone().into()));
    }
    if ending.short_of_tasks {
        details.push(("tasks-refused", true.into()));
    }
    if let Some(advice) = ending.advice() {
        details.push(("advice", advice.into()));
    }
    details
}

/// All properties.
pub fn all(facts: &Facts) -> Values {
    let mut values = remembered(facts);
    let refused = facts.refusals().into_iter();
    let refused = refused.map(|it| (it.gateway, it.what, it.count, microseconds(it.last)));
    values.push((REFUSED, refused.collect::<Vec<_>>().into()));
    let ended = facts.ends().into_iter().map(|it| {
        let mut details = ending(&it.ending);
        details.push(("status", it.ending.status.cast_unsigned().into()));
        details.push(("time", microseconds(it.time).into()));
        (it.pid, it.command, details)
    });
    values.push((ENDED, described(ended)));
    values.push((SOCKETS, facts.sockets().into()));
    values.push((NAMES, names(facts).into()));
    values
}

/// A host that rules name: the name, whether it waits for an answer, its addresses with the seconds
/// since each was last answered, and the seconds until it is looked up anew.
type NamedHost = (String, bool, Vec<(String, u64)>, u64);

fn names(facts: &Facts) -> Vec<NamedHost> {
    let known = facts.names().into_iter();
    let told = known.map(|it| {
        let addresses = it.addresses.into_iter();
        let addresses = addresses.map(|(address, age)| (address.to_string(), age.as_secs()));
        let next = it.next.unwrap_or_default().as_secs();
        (it.name, it.pending, addresses.collect(), next)
    });
    told.collect()
}

/// The named ones of those that change.
pub fn some(facts: &Facts, names: &[&'static str]) -> Values {
    let mut values = remembered(facts);
    values.retain(|(name, _)| names.contains(name));
    values
}

fn remembered(facts: &Facts) -> Values {
    let (status, reason) = facts.status();
    let place = facts.place();
    let mounts = facts.mounts().into_iter().map(|it| {
        let text = |path: PathBuf| path.to_string_lossy().into_owned();
        (text(it.host), text(it.container), it.read_only)
    });
    let processes = facts.processes().into_iter();
    let processes =
        processes.map(|(pid, process)| (pid, process.command, microseconds(process.since)));
    let addresses: Vec<String> = place.map_or_else(Vec::new, |place| {
        place.addresses.iter().map(ToString::to_string).collect()
    });
    vec![
        ("ID", facts.id.into()),
        ("AppID", facts.label.app.clone().into()),
        ("Label", facts.label.text.clone().into()),
        ("Creator", facts.creator.into()),
        (
            "BoundTo",
            facts.label.bound_to.clone().unwrap_or_default().into(),
        ),
        ("Options", facts.options.clone().into()),
        ("Since", microseconds(facts.since).into()),
        ("Init", place.map_or(0, |place| place.init).into()),
        ("User", place.map_or(0, |place| place.user).into()),
        ("Addresses", addresses.into()),
        (STATE[0], status.name().into()),
        (STATE[1], reason.name().into()),
        (CAPABILITIES, facts.capabilities().into()),
        (MOUNTS, mounts.collect::<Vec<_>>().into()),
        (PROCESSES, processes.collect::<Vec<_>>().into()),
    ]
}

fn microseconds(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    since.as_micros().try_into().unwrap_or(u64::MAX)
}

/// What was asked of gateways, of type `a(ssss)`: capability, manifest, gateway, and one element of
/// its configuration as JSON.
pub fn rules(configs: &[GatewayConfig]) -> Variant<'static> {
    let rows = configs.iter().flat_map(|config| {
        let elements = config.config.as_array().map_or(&[][..], Vec::as_slice);
        elements.iter().map(|element| {
            (
                config.origin.capability.to_string(),
                config.origin.file.to_string_lossy().into_owned(),
                config.id.clone(),
                element.to_string(),
            )
        })
    });
    rows.collect::<Vec<_>>().into()
}

/// What a container uses; without what the kernel does not count.
pub fn statistics(statistics: &Statistics) -> Values {
    let usage = &statistics.usage;
    let traffic = |of: fn(Traffic) -> u64| statistics.traffic.map(of);
    let numbers = [
        ("oom-kills", Some(statistics.oom_kills)),
        ("cpu-time", usage.cpu),
        ("memory", usage.memory),
        ("memory-peak", usage.memory_peak),
        ("memory-limit", usage.memory_limit),
        ("tasks", usage.tasks),
        ("tasks-limit", usage.tasks_limit),
        ("network-received", traffic(|it| it.received)),
        (
            "network-packets-received",
            traffic(|it| it.packets_received),
        ),
        ("network-sent", traffic(|it| it.sent)),
        ("network-packets-sent", traffic(|it| it.packets_sent)),
        ("storage", statistics.storage.map(|it| it.used)),
        ("storage-size", statistics.storage.map(|it| it.size)),
        ("cpu-waited", usage.cpu_pressure.map(|it| it.total)),
        ("memory-waited", usage.memory_pressure.map(|it| it.total)),
        ("io-waited", usage.io_pressure.map(|it| it.total)),
    ];
    let shares = [
        ("cpu-pressure", usage.cpu_pressure),
        ("memory-pressure", usage.memory_pressure),
        ("io-pressure", usage.io_pressure),
    ];
    let numbers = numbers.into_iter();
    let numbers = numbers.filter_map(|(name, value)| Some((name, value?.into())));
    let shares = shares.into_iter();
    let shares =
        shares.filter_map(|(name, pressure)| Some((name, pressure?.last_ten_seconds.into())));
    let mut values: Values = numbers.chain(shares).collect();
    if !statistics.rules.is_empty() {
        values.push(("network-rules", counts(&statistics.rules).into()));
    }
    values
}

/// Of each rule its family, chain, text, packets and bytes.
fn counts(rules: &[RuleCount]) -> Vec<(String, String, String, u64, u64)> {
    let told = rules.iter().map(|it| {
        let family = match it.family {
            Family::V4 => "ipv4",
            Family::V6 => "ipv6",
        };
        let (chain, rule) = (it.chain.clone(), it.rule.clone());
        (family.to_owned(), chain, rule, it.packets, it.bytes)
    });
    told.collect()
}
