//! Whether a container may be called by other containers.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use softwarecontainer_capability::gateway::network::{Direction, Host, Rule};

use super::rules::Names;
use softwarecontainer_network::addresses::AddressPlan;

/// Whether some rule lets a neighbour on the bridge start a conversation with the container.
///
/// Two containers of which neither may be called are kept apart by the bridge itself; so it takes
/// more than a mistake in one container's rules for them to meet.
#[must_use]
pub fn may_be_called<'a>(
    rules: impl IntoIterator<Item = &'a Rule>,
    names: &Names,
    plan: &AddressPlan,
) -> bool {
    rules
        .into_iter()
        .filter(|rule| rule.direction == Direction::Incoming)
        .any(|rule| match &rule.host {
            Host::Any => true,
            Host::Network { address, prefix } => overlaps(*address, *prefix, plan),
            Host::Name(name) => {
                names.get(name).into_iter().flatten().any(|address| {
                    overlaps(*address, if address.is_ipv4() { 32 } else { 128 }, plan)
                })
            }
        })
}

/// Whether a network and the bridge's network have addresses in common: whether they agree in the
/// shorter prefix.
fn overlaps(address: IpAddr, prefix: u8, plan: &AddressPlan) -> bool {
    match address {
        IpAddr::V4(address) => agree_v4(address, plan.v4, prefix.min(plan.prefix4)),
        IpAddr::V6(address) => {
            let global = plan
                .v6
                .is_some_and(|(bridge, own)| agree_v6(address, bridge, prefix.min(own)));
            global
                || agree_v6(
                    address,
                    Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0),
                    prefix.min(10),
                )
        }
    }
}

fn agree_v4(a: Ipv4Addr, b: Ipv4Addr, prefix: u8) -> bool {
    let differing = u32::from(a) ^ u32::from(b);
    differing.leading_zeros() >= u32::from(prefix)
}

fn agree_v6(a: Ipv6Addr, b: Ipv6Addr, prefix: u8) -> bool {
    let differing = u128::from(a) ^ u128::from(b);
    differing.leading_zeros() >= u32::from(prefix)
}

#[cfg(test)]
mod tests {
    use super::*;
    use softwarecontainer_capability::gateway::network::Traffic;

    fn called(direction: Direction, host: &str) -> bool {
        let plan = AddressPlan {
            v4: Ipv4Addr::new(10, 0, 3, 1),
            prefix4: 24,
            v6: Some(("fd00:3::1".parse().unwrap(), 64)),
        };
        let rule = Rule {
            direction,
            host: Host::parse(host).unwrap(),
            traffic: Traffic::Any,
        };
        let names = Names::from([
            (
                "near.example".to_owned(),
                [IpAddr::from([10, 0, 3, 9])].into(),
            ),
            (
                "far.example".to_owned(),
                [IpAddr::from([10, 0, 4, 9])].into(),
            ),
        ]);
        may_be_called([&rule], &names, &plan)
    }

    #[test]
    fn only_incoming_rules_for_neighbours_count() {
        for near in [
            "*",
            "10.0.3.7",
            "10.0.0.0/8",
            "0.0.0.0/0",
            "fd00:3::7",
            "fe80::/64",
            "::/0",
            "near.example",
        ] {
            assert!(called(Direction::Incoming, near), "{near}");
            assert!(!called(Direction::Outgoing, near), "{near}");
        }
        for far in [
            "10.0.4.7",
            "192.0.2.0/24",
            "fd00:4::7",
            "2001:db8::/32",
            "far.example",
        ] {
            assert!(!called(Direction::Incoming, far), "{far}");
        }
    }
}
