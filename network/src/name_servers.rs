//! Which name servers containers use: those of the host (resolv.conf(5)), as far as they can be
//! reached from there.
//!
//! Many hosts run a resolver of their own on a loopback address, such as systemd-resolved. In a
//! container that address is the container itself. What stands behind such a resolver takes its
//! place: its owner writes that to a file of its own.

use std::{
    collections::BTreeSet,
    fmt::Write as _,
    net::IpAddr,
    path::{Path, PathBuf},
};

/// The host's own list.
pub const RESOLV_CONF: &str = "/etc/resolv.conf";

/// Where services that run a resolver on a loopback address say which name servers they ask, in the
/// format of resolv.conf(5); the first one that names any counts.
///
/// Sources: systemd-resolved.service(8), section "/etc/resolv.conf"; NetworkManager.conf(5),
/// "rc-manager"; resolvconf(8) for dnsmasq, /etc/default/dnsmasq on Debian.
pub const BEHIND: [&str; 3] = [
    "/run/systemd/resolve/resolv.conf",
    "/run/NetworkManager/no-stub-resolv.conf",
    "/run/dnsmasq/resolv.conf",
];

/// The resolv.conf(5) of containers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NameServers {
    /// Its text.
    pub resolv_conf: String,
    /// The host's name servers that containers cannot reach and nothing takes the place of.
    pub unreachable: BTreeSet<IpAddr>,
}

impl NameServers {
    /// The host's name servers as they are now; `read` is given a path and returns the text of the
    /// file, or nothing for one that is not there.
    pub fn of_host(mut read: impl FnMut(&Path) -> Option<String>) -> Self {
        let own = read(Path::new(RESOLV_CONF)).unwrap_or_default();
        if !servers(&own).any(|server| is_only_on_the_host(&server)) {
            return Self {
                resolv_conf: own,
                unreachable: BTreeSet::new(),
            };
        }
        let behind = BEHIND.iter().find_map(|path| {
            let text = read(Path::new(path))?;
            let found: Vec<IpAddr> = servers(&text)
                .filter(|server| !is_only_on_the_host(server))
                .collect();
            (!found.is_empty()).then_some(found)
        });
        Self::replaced(&own, behind)
    }

    /// The files that the name servers depend on.
    #[must_use]
    pub fn files() -> Vec<PathBuf> {
        let files = std::iter::once(RESOLV_CONF).chain(BEHIND);
        files.map(PathBuf::from).collect()
    }

    fn replaced(own: &str, behind: Option<Vec<IpAddr>>) -> Self {
        let mut resolv_conf = String::new();
        let mut unreachable = BTreeSet::new();
        let mut behind_is_written = false;
        for line in own.lines() {
            let Some(server) = server(line).filter(is_only_on_the_host) else {
                let _ = writeln!(resolv_conf, "{line}");
                continue;
            };
            match &behind {
                None => drop(unreachable.insert(server)),
                Some(_) if behind_is_written => {}
                Some(servers) => {
                    for server in servers {
                        // Writing to a string cannot fail.
                        let _ = writeln!(resolv_conf, "nameserver {server}");
                    }
                    behind_is_written = true;
                }
            }
        }
        Self {
            resolv_conf,
            unreachable,
        }
    }
}

/// Whether only processes of the host reach a server: on its loopback, or on the link of an uplink,
/// as the router of many IPv6 networks names itself (`fe80::1%wlan0`).
fn is_only_on_the_host(server: &IpAddr) -> bool {
    let server = server.to_canonical();
    let on_the_link = matches!(server, IpAddr::V6(v6) if v6.is_unicast_link_local());
    server.is_loopback() || server.is_unspecified() || on_the_link
}

fn servers(text: &str) -> impl Iterator<Item = IpAddr> {
    text.lines().filter_map(server)
}

/// The server that a line names, without the interface behind it (`fe80::1%eth0`).
pub(crate) fn server(line: &str) -> Option<IpAddr> {
    let mut words = line.split_ascii_whitespace();
    (words.next() == Some("nameserver")).then_some(())?;
    words.next()?.split('%').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const BY_SYSTEMD: &str = BEHIND[0];

    fn on_a_host(files: &[(&str, &str)]) -> NameServers {
        NameServers::of_host(|path| {
            let found = files.iter().find(|(name, _)| Path::new(name) == path)?;
            Some(found.1.to_owned())
        })
    }

    #[test]
    fn servers_that_containers_reach_stay_as_they_are() {
        let text = "# by hand\nsearch example\nnameserver 192.0.2.1\noptions edns0\n";
        let found = on_a_host(&[(RESOLV_CONF, text), (BY_SYSTEMD, "nameserver 192.0.2.9\n")]);
        assert_eq!(found.resolv_conf, text);
        assert!(found.unreachable.is_empty());
    }

    #[test]
    fn what_stands_behind_a_resolver_on_the_host_takes_its_place() {
        let own = "nameserver 127.0.0.53\noptions edns0 trust-ad\nsearch lan\n";
        let behind = "# not to be edited\nnameserver 192.0.2.2\nnameserver 2001:db8::2\n";
        let found = on_a_host(&[(RESOLV_CONF, own), (BY_SYSTEMD, behind)]);
        assert_eq!(
            found.resolv_conf,
            "nameserver 192.0.2.2\nnameserver 2001:db8::2\noptions edns0 trust-ad\nsearch lan\n"
        );
        assert!(found.unreachable.is_empty());
    }

    #[test]
    fn several_addresses_of_one_resolver_are_replaced_once() {
        let own = "nameserver 127.0.0.1\nnameserver ::1\n";
        let found = on_a_host(&[(RESOLV_CONF, own), (BY_SYSTEMD, "nameserver 192.0.2.2\n")]);
        assert_eq!(found.resolv_conf, "nameserver 192.0.2.2\n");
    }

    #[test]
    fn an_empty_list_behind_is_passed_over() {
        let own = "nameserver 127.0.0.1\n";
        let manager = "nameserver 192.0.2.3\n";
        let found = on_a_host(&[(RESOLV_CONF, own), (BY_SYSTEMD, ""), (BEHIND[1], manager)]);
        assert_eq!(found.resolv_conf, manager);
    }

    #[test]
    fn a_dead_address_is_left_out_and_named() {
        let own = "nameserver 127.0.0.1\nnameserver 192.0.2.1\n";
        let behind = "nameserver 127.0.0.2\n";
        let found = on_a_host(&[(RESOLV_CONF, own), (BY_SYSTEMD, behind)]);
        assert_eq!(found.resolv_conf, "nameserver 192.0.2.1\n");
        assert_eq!(found.unreachable, ["127.0.0.1".parse().unwrap()].into());
    }

    #[test]
    fn a_server_on_the_link_of_an_uplink_is_on_no_link_of_a_container() {
        let own = "nameserver fe80::1%wlan0\nnameserver 2001:db8::1\n";
        let found = on_a_host(&[(RESOLV_CONF, own)]);
        assert_eq!(found.resolv_conf, "nameserver 2001:db8::1\n");
        assert_eq!(found.unreachable, ["fe80::1".parse().unwrap()].into());
    }

    #[test]
    fn a_host_without_name_servers_has_none_for_containers() {
        assert_eq!(on_a_host(&[]).resolv_conf, "");
    }

    proptest! {
        #[test]
        fn no_container_is_given_a_server_that_only_the_host_reaches(
            lines in prop::collection::vec("(nameserver|search|#)[ \t]{1,2}(127\\.0\\.0\\.[0-9]|::1|192\\.0\\.2\\.[0-9]|x)", 0..6),
            behind in "nameserver (127\\.0\\.0\\.1|fe80::1%a|192\\.0\\.2\\.7)",
        ) {
            let own = lines.join("\n");
            let found = on_a_host(&[(RESOLV_CONF, &own), (BY_SYSTEMD, &behind)]);
            prop_assert!(!servers(&found.resolv_conf).any(|server| is_only_on_the_host(&server)));
        }
    }
}
