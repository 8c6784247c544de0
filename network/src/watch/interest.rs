//! Which messages of rtnetlink(7) are about something of ours, or about the host's way out.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

use super::{
    changes::{Changes, Controls},
    message::{attribute, messages, number},
};
use crate::port::{is_detour_name, is_veth_name};

// linux/rtnetlink.h
const NEW_LINK: u16 = 16;
const DELETE_LINK: u16 = 17;
const NEW_ADDRESS: u16 = 20;
const DELETE_ADDRESS: u16 = 21;
const NEW_ROUTE: u16 = 24;
const DELETE_ROUTE: u16 = 25;
const NEW_DISCIPLINE: u16 = 36;
const DELETE_DISCIPLINE: u16 = 37;
const NEW_FILTER: u16 = 44;
const DELETE_FILTER: u16 = 45;
const NEW_NETCONF: u16 = 80;
const RT_TABLE_LOCAL: u8 = 255;
const RTN_UNICAST: u8 = 1;
const RTM_F_CLONED: u32 = 0x200;
const RTA_OIF: u16 = 4;
// linux/if_link.h, linux/if_addr.h, linux/netconf.h
const IFLA_IFNAME: u16 = 3;
const IFA_ADDRESS: u16 = 1;
const IFA_LOCAL: u16 = 2;
const NETCONFA_IFINDEX: u16 = 1;
const NETCONFA_IFINDEX_ALL: i32 = -1;

/// What is known of the host's network, to tell news from repetitions.
#[derive(Debug)]
pub(super) struct Interest {
    device: String,
    /// The bridge and containers' interfaces: their names by their indexes.
    own: BTreeMap<i32, String>,
    /// Addresses of all interfaces: router advertisements repeat them again and again.
    addresses: BTreeSet<(i32, IpAddr)>,
}

impl Interest {
    pub(super) fn new(device: &str) -> Self {
        Self {
            device: device.to_owned(),
            own: BTreeMap::new(),
            addresses: BTreeSet::new(),
        }
    }

    /// Whether an interface of that name is ours and was not known.
    pub(super) fn knows_link(&mut self, index: i32, name: &str) -> bool {
        let ours = name == self.device || is_veth_name(name);
        ours && self.own.insert(index, name.to_owned()).is_none()
    }

    pub(super) fn knows_address(&mut self, index: u32, address: IpAddr) {
        self.addresses
            .extend(i32::try_from(index).ok().map(|index| (index, address)));
    }

    /// What the messages of a datagram tell.
    pub(super) fn of(&mut self, datagram: &[u8]) -> Changes {
        let mut changes = Changes::default();
        for (kind, body) in messages(datagram) {
            // A message that cannot be read is none.
            changes |= self.of_message(kind, body).unwrap_or_default();
        }
        changes
    }

    fn of_message(&mut self, kind: u16, body: &[u8]) -> Option<Changes> {
        match kind {
            NEW_LINK | DELETE_LINK => self.of_link(kind, body),
            NEW_ADDRESS | DELETE_ADDRESS => self.of_address(kind, body),
            NEW_ROUTE | DELETE_ROUTE => self.of_route(body),
            NEW_DISCIPLINE | DELETE_DISCIPLINE | NEW_FILTER | DELETE_FILTER => {
                // struct tcmsg: family, padding, index.
                let index = number(body.get(4..)?)?;
                Some(
                    self.own
                        .get(&index)
                        .map_or_else(Changes::default, |it| at(it)),
                )
            }
            NEW_NETCONF => {
                // struct netconfmsg: one byte.
                let index = number(attribute(body, 1, NETCONFA_IFINDEX)?)?;
                let ours = index == NETCONFA_IFINDEX_ALL || self.own.contains_key(&index);
                Some(Changes {
                    ours,
                    ..Changes::default()
                })
            }
            _ => None,
        }
    }

    fn of_link(&mut self, kind: u16, body: &[u8]) -> Option<Changes> {
        // struct ifinfomsg: family, type, index, flags, changes.
        let index = number(body.get(4..)?)?;
        let name = attribute(body, 16, IFLA_IFNAME).unwrap_or_default();
        let name = name.split(|byte| *byte == 0).next().unwrap_or_default();
        let is_new = self.knows_link(index, &String::from_utf8_lossy(name));
        // Also one that was ours under another name.
        let Some(own) = self.own.get(&index).cloned() else {
            return Some(Changes::default());
        };
        let is_bridge_message = body.first() != Some(&0);
        if kind == DELETE_LINK && !is_bridge_message {
            self.own.remove(&index);
            self.addresses.retain(|(at, _)| *at != index);
        }
        // Another one may have had its name, and what was done to that. A way round is nothing but
        // traffic control.
        if is_new || is_detour_name(&own) {
            return Some(at(&own));
        }
        Some(Changes {
            ours: true,
            ..Changes::default()
        })
    }

    fn of_address(&mut self, kind: u16, body: &[u8]) -> Option<Changes> {
        // struct ifaddrmsg: family, prefix length, flags, scope, index.
        let index = number(body.get(4..)?)?;
        let local = attribute(body, 8, IFA_LOCAL);
        let address = address(local.or_else(|| attribute(body, 8, IFA_ADDRESS))?)?;
        let is_news = match kind {
            NEW_ADDRESS => self.addresses.insert((index, address)),
            _ => self.addresses.remove(&(index, address)),
        };
        let ours = self.own.contains_key(&index);
        Some(Changes {
            ours: ours && is_news,
            host: !ours && is_news,
            controls: Controls::NONE,
        })
    }

    fn of_route(&self, body: &[u8]) -> Option<Changes> {
        // struct rtmsg: family, destination and source lengths, tos, table, protocol, scope, type,
        // flags.
        let (head, _) = body.split_first_chunk::<12>()?;
        let flags = u32::from_ne_bytes([head[8], head[9], head[10], head[11]]);
        let leads_away =
            head[4] != RT_TABLE_LOCAL && head[7] == RTN_UNICAST && flags & RTM_F_CLONED == 0;
        let by = attribute(body, 12, RTA_OIF).and_then(number);
        let ours = by.is_some_and(|index| self.own.contains_key(&index));
        Some(Changes {
            host: leads_away && !ours,
            ..Changes::default()
        })
    }
}

/// Something at an interface of ours, traffic control included.
fn at(name: &str) -> Changes {
    Changes {
        ours: true,
        host: false,
        controls: Controls::Of([name.to_owned()].into()),
    }
}

fn address(bytes: &[u8]) -> Option<IpAddr> {
    let v4 = <[u8; 4]>::try_from(bytes).map(IpAddr::from);
    v4.or_else(|_| <[u8; 16]>::try_from(bytes).map(IpAddr::from))
        .ok()
}

#[cfg(test)]
mod tests {
    use super::{super::message::tests::message, *};

    const NOTHING: Changes = Changes {
        ours: false,
        host: false,
        controls: Controls::NONE,
    };
    const OURS: Changes = Changes {
        ours: true,
        host: false,
        controls: Controls::NONE,
    };
    const HOST: Changes = Changes {
        ours: false,
        host: true,
        controls: Controls::NONE,
    };

    fn link(kind: u16, index: i32, name: &str) -> Vec<u8> {
        let mut header = [0; 16];
        header[4..8].copy_from_slice(&index.to_ne_bytes());
        message(kind, &header, &[(IFLA_IFNAME, name.as_bytes())])
    }

    fn address_message(kind: u16, index: i32, address: [u8; 4]) -> Vec<u8> {
        let mut header = [2, 24, 0, 0, 0, 0, 0, 0];
        header[4..8].copy_from_slice(&index.to_ne_bytes());
        message(kind, &header, &[(IFA_LOCAL, &address)])
    }

    fn route(table: u8, by: i32) -> Vec<u8> {
        let header = [2, 0, 0, 0, table, 3, 0, RTN_UNICAST, 0, 0, 0, 0];
        message(NEW_ROUTE, &header, &[(RTA_OIF, &by.to_ne_bytes())])
    }

    fn interest() -> Interest {
        let mut interest = Interest::new("lxcbr0");
        interest.knows_link(7, "lxcbr0");
        interest
    }

    #[test]
    fn the_bridge_and_containers_interfaces_are_ours_and_others_are_not() {
        let mut interest = Interest::new("lxcbr0");
        for name in ["lxcbr0", "sc3-lxcbr0"] {
            assert_eq!(interest.of(&link(NEW_LINK, 9, name)), at(name), "{name}");
            let again = interest.of(&link(NEW_LINK, 9, name));
            assert_eq!(again, OURS, "traffic control of {name} is not news");
            assert_eq!(interest.of(&link(DELETE_LINK, 9, name)), OURS, "{name}");
        }
        for kind in [NEW_LINK, NEW_LINK, DELETE_LINK] {
            assert_eq!(interest.of(&link(kind, 9, "wlan0")), NOTHING);
            let detour = "sc3r-lxcbr0";
            assert_eq!(interest.of(&link(kind, 8, detour)), at(detour));
        }
    }

    #[test]
    fn the_bridge_is_ours_also_under_another_name() {
        assert_eq!(interest().of(&link(NEW_LINK, 7, "renamed")), OURS);
        let mut interest = interest();
        interest.of(&link(DELETE_LINK, 7, "lxcbr0"));
        assert_eq!(interest.of(&link(NEW_LINK, 7, "other")), NOTHING);
    }

    #[test]
    fn an_address_counts_when_it_comes_and_goes_and_not_when_it_is_repeated() {
        let mut interest = interest();
        let come = address_message(NEW_ADDRESS, 2, [192, 0, 2, 7]);
        let go = address_message(DELETE_ADDRESS, 2, [192, 0, 2, 7]);
        let found = [&come, &come, &go, &come].map(|message| interest.of(message));
        assert_eq!(found, [HOST, NOTHING, HOST, HOST]);
        let own = address_message(NEW_ADDRESS, 7, [10, 0, 3, 1]);
        assert_eq!(interest.of(&own), OURS);
    }

    #[test]
    fn routes_that_lead_away_count() {
        let mut interest = interest();
        assert_eq!(interest.of(&route(254, 2)), HOST);
        assert_eq!(interest.of(&route(254, 7)), NOTHING, "to the bridge");
        assert_eq!(interest.of(&route(RT_TABLE_LOCAL, 2)), NOTHING);
    }

    #[test]
    fn traffic_control_of_our_interfaces_counts() {
        for kind in [NEW_DISCIPLINE, DELETE_DISCIPLINE, NEW_FILTER, DELETE_FILTER] {
            for (index, found) in [(7, at("lxcbr0")), (2, NOTHING)] {
                let mut header = [0; 20];
                header[4..8].copy_from_slice(&i32::to_ne_bytes(index));
                assert_eq!(interest().of(&message(kind, &header, &[])), found);
            }
        }
    }

    #[test]
    fn forwarding_counts_of_all_interfaces_and_of_ours() {
        for (index, found) in [(-1, OURS), (7, OURS), (-2, NOTHING), (2, NOTHING)] {
            let index = i32::to_ne_bytes(index);
            let message = message(NEW_NETCONF, &[2], &[(NETCONFA_IFINDEX, &index)]);
            assert_eq!(interest().of(&message), found, "{index:?}");
        }
    }
}
