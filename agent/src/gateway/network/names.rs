//! Host names in the rules of one container.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
    sync::Arc,
};

use softwarecontainer_capability::gateway::network::{Host, TrafficRule};
use softwarecontainer_network::host_names::{HostName, HostNames};

/// Addresses by host name.
pub(super) type Names = BTreeMap<String, BTreeSet<IpAddr>>;

/// Names that are looked up as long as the container has them in its rules.
pub(super) type Held = BTreeMap<String, Arc<HostName>>;

/// Every name in `rules`; what is not known of one yet comes later.
pub(super) fn hold<'a>(
    rules: impl IntoIterator<Item = &'a TrafficRule>,
    names: &HostNames,
) -> Held {
    let mut held = Held::new();
    for rule in rules {
        if let Host::Name(name) = &rule.host {
            held.entry(name.clone()).or_insert_with(|| names.hold(name));
        }
    }
    held
}

/// What the names stand for now.
pub(super) fn addresses(held: &Held) -> Names {
    held.iter()
        .map(|(name, held)| (name.clone(), held.addresses()))
        .collect()
}

#[cfg(test)]
mod tests {
    use softwarecontainer_capability::traffic::{Direction, Traffic};

    use super::*;

    fn rule(host: &str) -> TrafficRule {
        TrafficRule {
            direction: Direction::Outgoing,
            host: Host::parse(host).unwrap(),
            traffic: Traffic::Any,
        }
    }

    #[test]
    fn names_are_held_and_addresses_are_not() {
        let names = HostNames::new([]);
        let rules = [rule("a.example"), rule("10.0.0.0/8"), rule("a.example")];
        let held = hold(&rules, &names);
        assert_eq!(held.keys().collect::<Vec<_>>(), ["a.example"]);
    }
}
