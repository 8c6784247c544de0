//! Whether a container may be called by other containers.

use softwarecontainer_capability::traffic::Direction;

use crate::{
    addresses::AddressPlan,
    permission::{Peer, Permission},
};

/// Whether some permission lets a neighbour on the bridge start a conversation with the container.
///
/// Two containers of which neither may be called are kept apart by the bridge itself; so it takes
/// more than a mistake in one container's rules for them to meet.
pub(super) fn may_be_called(permissions: &[Permission], plan: &AddressPlan) -> bool {
    permissions
        .iter()
        .filter(|one| one.direction == Direction::Incoming)
        .any(|one| match one.peer {
            Peer::Anybody => true,
            Peer::Subnet(subnet) => plan.subnets().any(|near| near.overlaps(&subnet)),
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::subnet::Subnet;
    use softwarecontainer_capability::traffic::Traffic;
    use std::net::Ipv4Addr;

    fn called(direction: Direction, peer: Peer) -> bool {
        let plan = AddressPlan {
            v4: Ipv4Addr::new(10, 0, 3, 1),
            prefix4: 24,
            v6: Some(("fd00:3::1".parse().unwrap(), 64)),
        };
        let permission = Permission {
            direction,
            peer,
            traffic: Traffic::Any,
        };
        may_be_called(&[permission], &plan)
    }

    fn subnet(text: &str) -> Peer {
        let (address, prefix) = text.split_once('/').unwrap();
        Peer::Subnet(Subnet::new(
            address.parse().unwrap(),
            prefix.parse().unwrap(),
        ))
    }

    #[test]
    fn only_incoming_permissions_for_neighbours_count() {
        assert!(called(Direction::Incoming, Peer::Anybody));
        assert!(!called(Direction::Outgoing, Peer::Anybody));
        for near in [
            "10.0.3.7/32",
            "10.0.0.0/8",
            "0.0.0.0/0",
            "fd00:3::7/128",
            "fe80::/64",
            "::/0",
        ] {
            assert!(called(Direction::Incoming, subnet(near)), "{near}");
            assert!(!called(Direction::Outgoing, subnet(near)), "{near}");
        }
        for far in [
            "10.0.4.7/32",
            "192.0.2.0/24",
            "fd00:4::7/128",
            "2001:db8::/32",
        ] {
            assert!(!called(Direction::Incoming, subnet(far)), "{far}");
        }
    }
}
