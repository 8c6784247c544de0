//! Host names in rules: all their addresses, as the host's resolver tells them when the rules are
//! applied.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    net::{IpAddr, ToSocketAddrs},
};

use softwarecontainer_capability::gateway::network::{Host, Rule};

/// Addresses by host name.
pub(super) type Names = BTreeMap<String, BTreeSet<IpAddr>>;

/// A host name in a rule that has no address.
#[derive(Debug, thiserror::Error)]
#[error("cannot resolve host name {name}")]
pub struct UnknownHost {
    name: String,
    source: io::Error,
}

/// Looks up every name in `rules`, source getaddrinfo(3). What `known` has is kept, for what was
/// allowed stays allowed, also when a name is answered in turns with different addresses or cannot
/// be looked up for the moment.
///
/// # Errors
/// [`UnknownHost`] for a name that has no address and had none before.
pub(super) fn resolve<'a>(
    rules: impl IntoIterator<Item = &'a Rule>,
    known: &Names,
) -> Result<Names, UnknownHost> {
    let mut names = Names::new();
    for rule in rules {
        let Host::Name(name) = &rule.host else {
            continue;
        };
        if names.contains_key(name) {
            continue;
        }
        let mut addresses = known.get(name).cloned().unwrap_or_default();
        match (name.as_str(), 0).to_socket_addrs() {
            Ok(found) => addresses.extend(found.map(|one| one.ip().to_canonical())),
            Err(source) if addresses.is_empty() => {
                return Err(UnknownHost {
                    name: name.clone(),
                    source,
                });
            }
            Err(error) => {
                log::warn!("cannot resolve host name {name} again, its addresses stay: {error}")
            }
        }
        names.insert(name.clone(), addresses);
    }
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;
    use softwarecontainer_capability::gateway::network::{Direction, Traffic};

    fn rules(host: &str) -> [Rule; 1] {
        [Rule {
            direction: Direction::Outgoing,
            host: Host::parse(host).unwrap(),
            traffic: Traffic::Any,
        }]
    }

    #[test]
    fn names_are_looked_up_and_addresses_are_not() {
        let names = resolve(&rules("localhost"), &Names::new()).unwrap();
        assert!(
            names["localhost"].contains(&"127.0.0.1".parse().unwrap()),
            "{names:?}"
        );
        assert!(
            resolve(&rules("10.0.0.0/8"), &Names::new())
                .unwrap()
                .is_empty()
        );
    }

    #[test]
    fn a_name_without_address_is_an_error_unless_it_had_one() {
        let error = resolve(&rules("no-such-host.invalid"), &Names::new()).unwrap_err();
        assert_eq!(
            error.to_string(),
            "cannot resolve host name no-such-host.invalid"
        );
        let known = Names::from([(
            "no-such-host.invalid".to_owned(),
            BTreeSet::from(["10.1.1.1".parse().unwrap()]),
        )]);
        assert_eq!(
            resolve(&rules("no-such-host.invalid"), &known).unwrap(),
            known
        );
    }
}
