//! Network gateway: whom a container may talk to.
//!
//! A configuration only ever allows: merging is the union of all rules and the higher of two rates,
//! so it knows no order and what comes again changes nothing.

mod host;
mod ports;
mod protocol;
mod rate;

pub use crate::traffic::{Direction, Ports, Traffic};
pub use host::Host;
pub use rate::{Rate, Rates};

use crate::{
    element::{Element, required_str},
    error::{ConfigError, Problem},
    json::shown,
    settings::Settings,
};
use protocol::Protocol;
use serde_json::Value;
use std::collections::BTreeSet;

/// Merged configuration of the network gateway.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct NetworkSettings {
    /// The container gets an address and a route. False as long as no element with rules has been
    /// merged.
    pub active: bool,
    /// What may pass; replies to it pass too, and nothing else.
    pub rules: BTreeSet<TrafficRule>,
    /// How fast it may be.
    pub rates: Rates,
}

/// One kind of traffic that may pass.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct TrafficRule {
    /// Who starts the conversation.
    pub direction: Direction,
    /// The other side.
    pub host: Host,
    /// What is said.
    pub traffic: Traffic,
}

impl Settings for NetworkSettings {
    const ID: &'static str = "network";
    const KEYS: &'static [&'static str] = &[
        "direction",
        "allow",
        "host",
        "ports",
        "protocols",
        "egress-rate",
        "ingress-rate",
        "default",
    ];

    fn merge(&mut self, element: &Element) -> Result<(), ConfigError> {
        let has_rate = self.rates.merge(element)?;
        // Rates alone open nothing: a default may bound whatever else opens the network.
        if has_rate && !element.contains_key("direction") && !element.contains_key("allow") {
            return Ok(());
        }
        let direction = direction_of(element)?;
        let allow = match element.get("allow") {
            None => return Err(ConfigError::missing("allow")),
            Some(Value::Array(allow)) => allow,
            Some(other) => {
                return Err(ConfigError::wrong_type(
                    "allow",
                    "an array of objects",
                    other,
                ));
            }
        };
        for (index, entry) in allow.iter().enumerate() {
            let rules = rules_of(direction, entry).map_err(|e| e.at(index).at("allow"))?;
            self.rules.extend(rules);
        }
        self.active = true;
        Ok(())
    }
}

fn direction_of(element: &Element) -> Result<Direction, ConfigError> {
    match required_str(element, "direction")? {
        "INCOMING" => Ok(Direction::Incoming),
        "OUTGOING" => Ok(Direction::Outgoing),
        other => Err(ConfigError::invalid(
            "direction",
            &other.into(),
            "is neither \"INCOMING\" nor \"OUTGOING\"",
        )),
    }
}

/// The rules that one entry of `allow` stands for.
fn rules_of(direction: Direction, entry: &Value) -> Result<Vec<TrafficRule>, ConfigError> {
    let Value::Object(entry) = entry else {
        return Err(ConfigError::new(Problem::WrongType {
            expected: "an object",
            found: shown(entry),
        }));
    };
    // Elsewhere an unknown key is ignored with a warning. Here a mistyped `ports` would open every
    // port.
    for (key, value) in entry {
        if !matches!(key.as_str(), "host" | "ports" | "protocols") {
            return Err(ConfigError::invalid(key, value, "belongs to no known key"));
        }
    }
    let text = required_str(entry, "host")?;
    let host = Host::parse(text).map_err(|why| ConfigError::invalid("host", &text.into(), why))?;
    let ports = entry.get("ports").map(ports::parse).transpose();
    let ports = ports.map_err(|e| e.at("ports"))?;
    let protocols = entry.get("protocols").map(protocol::parse).transpose();
    let protocols = protocols.map_err(|e| e.at("protocols"))?;

    let traffic = traffic_of(ports.as_deref(), protocols.as_ref()).map_err(|why| {
        ConfigError::invalid("ports", entry.get("ports").unwrap_or(&Value::Null), why)
    })?;
    Ok(traffic
        .into_iter()
        .map(|traffic| TrafficRule {
            direction,
            host: host.clone(),
            traffic,
        })
        .collect())
}

fn traffic_of(
    ports: Option<&[Ports]>,
    protocols: Option<&BTreeSet<Protocol>>,
) -> Result<Vec<Traffic>, &'static str> {
    let both = BTreeSet::from([Protocol::Tcp, Protocol::Udp]);
    let protocols = match (protocols, ports) {
        (None, None) => return Ok(vec![Traffic::Any]),
        (None, Some(_)) => &both,
        (Some(protocols), _) => protocols,
    };
    if ports.is_some() && !protocols.contains(&Protocol::Tcp) && !protocols.contains(&Protocol::Udp)
    {
        return Err("is of no use to a protocol without ports");
    }
    let ports = ports.unwrap_or(&[Ports::ALL]);
    let mut traffic = Vec::new();
    for protocol in protocols {
        match protocol {
            Protocol::Icmp => traffic.push(Traffic::Icmp),
            Protocol::Tcp => traffic.extend(ports.iter().copied().map(Traffic::Tcp)),
            Protocol::Udp => traffic.extend(ports.iter().copied().map(Traffic::Udp)),
        }
    }
    Ok(traffic)
}

#[cfg(test)]
mod tests;
