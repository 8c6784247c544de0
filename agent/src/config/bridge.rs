//! The containers' network: the bridge and its addresses.

use std::net::{Ipv4Addr, Ipv6Addr};

use softwarecontainer_network::BridgeSettings;

use super::{error::ConfigError, reader::Reader};

/// The value of `bridge-ip` that has an address chosen.
const AUTO: &str = "auto";

/// What is chosen from if the file does not say: networks that home and company networks rarely
/// have.
const CANDIDATES: [Ipv4Addr; 4] = [
    Ipv4Addr::new(10, 0, 3, 1),
    Ipv4Addr::new(172, 29, 3, 1),
    Ipv4Addr::new(192, 168, 213, 1),
    Ipv4Addr::new(10, 213, 3, 1),
];

/// Reads what the file says about the bridge.
pub(super) fn read(reader: &mut Reader<'_>) -> Result<BridgeSettings, ConfigError> {
    const ADDRESS: &str = "is not an IPv4 address";
    let mut bridge = BridgeSettings::default();
    let mut mask = Ipv4Addr::new(255, 255, 255, 0);
    reader.bool("create-bridge", &mut bridge.create)?;
    if let Some(device) = reader.string("bridge-device")? {
        bridge.device = device;
    }
    let auto = match reader.string("bridge-ip")? {
        None => false,
        Some(text) if text == AUTO => true,
        Some(text) => {
            let parsed = text.parse();
            bridge.ip = parsed.map_err(|_| reader.error("bridge-ip", &text, ADDRESS))?;
            false
        }
    };
    let mut candidates = CANDIDATES.to_vec();
    reader.ipv4_addresses("bridge-ip-candidates", &mut candidates)?;
    reader.parsed("bridge-netmask", &mut mask, ADDRESS)?;
    reader.parsed(
        "bridge-netmask-bitlength",
        &mut bridge.prefix_len,
        "is not a number from 1 to 31",
    )?;
    reader.parsed("bridge-netaddr", &mut bridge.network, ADDRESS)?;
    if let Some(text) = reader.string("bridge-ip6")? {
        let ip6 = parse_ip6(&text).map_err(|why| reader.error("bridge-ip6", &text, why))?;
        bridge.ip6 = Some(ip6);
    }
    reader.ports("host-ports", &mut bridge.host_ports)?;
    reader.bool("log-refused", &mut bridge.log_refused)?;
    reader.parsed(
        "firewall",
        &mut bridge.firewall,
        "is none of auto, nf_tables and iptables",
    )?;
    let connections = &mut bridge.connections;
    reader.some_number("max-connections", &mut connections.most, 1..=1_048_576)?;
    // What iptables' match counts with.
    reader.some_number("connection-rate", &mut connections.rate, 1..=10_000)?;
    reader.some_number("connection-burst", &mut connections.burst, 1..=10_000)?;
    if auto {
        for candidate in &candidates {
            bridge.ip = *candidate;
            bridge.network = *candidate & mask;
            check(&bridge, mask, reader)?;
        }
        if let Some(first) = candidates.first() {
            bridge.ip = *first;
            bridge.network = *first & mask;
        }
        bridge.candidates = candidates;
    }
    check(&bridge, mask, reader)?;
    Ok(bridge)
}

fn check(bridge: &BridgeSettings, mask: Ipv4Addr, reader: &Reader<'_>) -> Result<(), ConfigError> {
    if let Some(why) = wrong_device_name(&bridge.device) {
        return Err(reader.error("bridge-device", &bridge.device, why));
    }
    if !(1..=31).contains(&bridge.prefix_len) {
        return Err(reader.error(
            "bridge-netmask-bitlength",
            bridge.prefix_len,
            "is not a number from 1 to 31",
        ));
    }
    if mask != bridge.netmask() {
        let why = format!(
            "is not the netmask of {} bits (bridge-netmask-bitlength), {}",
            bridge.prefix_len,
            bridge.netmask()
        );
        return Err(reader.error("bridge-netmask", mask, why));
    }
    if bridge.network != bridge.network & mask {
        let why = format!("is not the address of a network with netmask {mask} (bridge-netmask)");
        return Err(reader.error("bridge-netaddr", bridge.network, why));
    }
    if bridge.ip & mask != bridge.network {
        let why = format!(
            "is not the network of bridge-ip {} with netmask {mask}",
            bridge.ip
        );
        return Err(reader.error("bridge-netaddr", bridge.network, why));
    }
    if bridge.prefix_len < 31 && (bridge.ip == bridge.network || bridge.ip == bridge.last_address())
    {
        let why = "is the network's own or its broadcast address, which no device may have";
        return Err(reader.error("bridge-ip", bridge.ip, why));
    }
    Ok(())
}

/// Reads an address that a bridge may have, with its prefix length, such as `fd00:3::1/64`.
fn parse_ip6(text: &str) -> Result<(Ipv6Addr, u8), &'static str> {
    const FORM: &str = "is not an IPv6 address with a prefix length from 1 to 127";
    let (address, prefix) = text.split_once('/').ok_or(FORM)?;
    let address: Ipv6Addr = address.parse().map_err(|_| FORM)?;
    let prefix = prefix.parse().map_err(|_| FORM)?;
    if !(1..=127).contains(&prefix) {
        return Err(FORM);
    }
    if address.is_multicast()
        || address.is_loopback()
        || address.is_unspecified()
        || address.is_unicast_link_local()
    {
        return Err("is not an address that containers can reach beyond their link");
    }
    Ok((address, prefix))
}

/// What the kernel refuses as the name of a network device (dev_valid_name() in net/core/dev.c).
fn wrong_device_name(name: &str) -> Option<&'static str> {
    let bad = |c: char| c == '/' || c == ':' || c.is_whitespace() || c.is_control();
    match name {
        "" => Some("must not be empty"),
        "." | ".." => Some("is not the name of a network device"),
        name if name.len() > 15 => {
            Some("is longer than the 15 bytes that the name of a network device may have")
        }
        name if name.contains(bad) => {
            Some("contains a character that the name of a network device may not have")
        }
        _ => None,
    }
}
