//! The host's table of connections, which all containers and the host itself share.
//!
//! A connection stays there for minutes after its end. Those of a container that has ended mean
//! nothing to anybody, but they take room, and would be taken for its successor's.
//!
//! Source: linux/netfilter/nfnetlink_conntrack.h.

mod forgetting;

use std::net::IpAddr;

pub(crate) use forgetting::Forgetting;

use crate::nfnetlink::{
    Nfnetlink, NfnetlinkError,
    message::{Attributes, DUMP, Message, attribute},
};

const NFNL_SUBSYS_CTNETLINK: u8 = 1;
const IPCTNL_MSG_CT_GET: u8 = 1;
const IPCTNL_MSG_CT_DELETE: u8 = 2;
const AF_UNSPEC: u8 = 0;
const AF_INET: u8 = 2;
const AF_INET6: u8 = 10;
const CTA_TUPLE_ORIG: u16 = 1;
const CTA_TUPLE_REPLY: u16 = 2;
const CTA_ID: u16 = 12;
const CTA_ZONE: u16 = 18;
const CTA_TUPLE_IP: u16 = 1;
const CTA_IP_V4_SRC: u16 = 1;
const CTA_IP_V6_SRC: u16 = 3;

/// Removes all connections that `addresses` began or answer to from the table of the calling
/// thread's network namespace.
///
/// # Errors
/// [`NfnetlinkError`], such as on a kernel without CONFIG_NF_CT_NETLINK.
fn forget(addresses: &[IpAddr]) -> Result<(), NfnetlinkError> {
    let netfilter = Nfnetlink::open()?;
    let all = message(IPCTNL_MSG_CT_GET, DUMP, AF_UNSPEC, Attributes::default());
    let mut found = Vec::new();
    // There is a filter (CTA_FILTER), but for IPv6 it finds all others.
    netfilter.ask("list the host's connections", &all, |entry| {
        found.extend(deletion(entry, addresses));
    })?;
    // One that has ended meanwhile is gone already.
    netfilter.each("forget a container's connections", &found, libc::ENOENT)
}

fn message(kind: u8, flags: u16, family: u8, attributes: Attributes) -> Message {
    Message {
        kind: (NFNL_SUBSYS_CTNETLINK, kind),
        flags,
        family,
        resource: 0,
        attributes,
    }
}

/// What removes an entry of the table, if one of `addresses` began it or answers to it.
fn deletion(entry: &[u8], addresses: &[IpAddr]) -> Option<Message> {
    let sides = [CTA_TUPLE_ORIG, CTA_TUPLE_REPLY];
    let sides = sides.map(|side| source(attribute(entry, side)?));
    let mut sides = sides.into_iter().flatten();
    let found = sides.find(|one| addresses.contains(one))?;
    let tuple = attribute(entry, CTA_TUPLE_ORIG)?;
    let mut attributes = Attributes::default().nested(CTA_TUPLE_ORIG, &tuple.into());
    for kind in [CTA_ID, CTA_ZONE] {
        if let Some(payload) = attribute(entry, kind) {
            attributes = attributes.bytes(kind, payload);
        }
    }
    let family = if found.is_ipv4() { AF_INET } else { AF_INET6 };
    Some(message(IPCTNL_MSG_CT_DELETE, 0, family, attributes))
}

/// Who sends in one direction of a connection.
fn source(tuple: &[u8]) -> Option<IpAddr> {
    let ip = attribute(tuple, CTA_TUPLE_IP)?;
    if let Some(v4) = attribute(ip, CTA_IP_V4_SRC) {
        return Some(<[u8; 4]>::try_from(v4).ok()?.into());
    }
    let v6 = attribute(ip, CTA_IP_V6_SRC)?;
    Some(<[u8; 16]>::try_from(v6).ok()?.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(from: &str, to: &str) -> Vec<u8> {
        let tuple = |address: &str| {
            let ip = Attributes::default();
            let ip = match address.parse().unwrap() {
                IpAddr::V4(v4) => ip.bytes(CTA_IP_V4_SRC, &v4.octets()),
                IpAddr::V6(v6) => ip.bytes(CTA_IP_V6_SRC, &v6.octets()),
            };
            Attributes::default().nested(CTA_TUPLE_IP, &ip)
        };
        let attributes = Attributes::default()
            .nested(CTA_TUPLE_ORIG, &tuple(from))
            .nested(CTA_TUPLE_REPLY, &tuple(to))
            .bytes(CTA_ID, &[5; 4]);
        body(&message(0, 0, AF_UNSPEC, attributes))
    }

    fn body(message: &Message) -> Vec<u8> {
        let mut bytes = Vec::new();
        message.append(1, &mut bytes);
        bytes.split_off(20)
    }

    #[test]
    fn only_connections_of_the_addresses_are_removed() {
        let own = ["10.0.3.2", "fd00::2"].map(|text| text.parse().unwrap());
        let is_removed = |from, to| deletion(&entry(from, to), &own).is_some();
        assert!(is_removed("10.0.3.2", "192.0.2.1"));
        assert!(is_removed("192.0.2.1", "10.0.3.2"));
        assert!(is_removed("fd00::2", "fd00::9"));
        assert!(!is_removed("10.0.3.3", "192.0.2.1"));
        assert!(!is_removed("fd00::3", "fd00::9"));
        assert!(deletion(&[], &own).is_none());
    }

    #[test]
    fn a_removal_names_the_very_entry() {
        let entry = entry("10.0.3.2", "192.0.2.1");
        let removal = deletion(&entry, &["10.0.3.2".parse().unwrap()]).unwrap();
        let sent = body(&removal);
        for kind in [CTA_TUPLE_ORIG, CTA_ID] {
            assert_eq!(attribute(&sent, kind), attribute(&entry, kind));
        }
        assert_eq!(attribute(&sent, CTA_TUPLE_REPLY), None);
    }
}
