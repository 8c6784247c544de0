//! Files that are not copied as they are.

use std::net::IpAddr;

/// What every container has in its hosts(5); `contained` is its own name.
const OWN_HOSTS: &str = "127.0.0.1 localhost contained\n::1 localhost\n";

/// The container's hosts(5), given the host's: names that the host has for itself, on its loopback
/// addresses, would lead an app to its own container, and are left out.
pub fn hosts(host: &str) -> String {
    let mut text = OWN_HOSTS.to_owned();
    for line in host.lines() {
        let entry = line.split('#').next().unwrap_or_default();
        let address = entry.split_ascii_whitespace().next();
        let address = address.and_then(|it| it.parse::<IpAddr>().ok());
        if address.is_some_and(|it| !it.to_canonical().is_loopback()) {
            text.push_str(entry.trim_end());
            text.push('\n');
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_the_hosts_own_loopback_and_remarks_are_left_out() {
        let host = "127.0.0.1 localhost\n127.0.1.1\tunit-7\n::1 ip6-localhost # own\n\
                    192.0.2.7 maps.example maps # by hand\n # nothing\nff02::1 ip6-allnodes\n\
                    ::ffff:127.0.0.1 odd\nno-address x\n";
        let wanted = format!("{OWN_HOSTS}192.0.2.7 maps.example maps\nff02::1 ip6-allnodes\n");
        assert_eq!(hosts(host), wanted);
        assert_eq!(hosts(""), OWN_HOSTS);
    }
}
