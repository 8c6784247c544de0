//! The containers' network: the bridge and its addresses.

use super::error::ConfigError;
use super::reader::Reader;
use std::net::{Ipv4Addr, Ipv6Addr};

/// The bridge that every container with network access is connected to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BridgeConfig {
    /// The agent makes the bridge if it is absent; otherwise its absence is an error.
    pub create: bool,
    /// Name of the network device.
    pub device: String,
    /// Address of the bridge, and default gateway of the containers.
    pub ip: Ipv4Addr,
    /// Number of leading bits that all addresses of the network share, 1 to 31.
    pub prefix_len: u8,
    /// Address of the network.
    pub network: Ipv4Addr,
    /// IPv6 address of the bridge and its prefix length, 1 to 127. `None`: containers get
    /// link-local IPv6 addresses only.
    pub ip6: Option<(Ipv6Addr, u8)>,
}

impl Default for BridgeConfig {
    fn default() -> Self {
        Self {
            create: true,
            device: "lxcbr0".to_owned(),
            ip: Ipv4Addr::new(10, 0, 3, 1),
            prefix_len: 24,
            network: Ipv4Addr::new(10, 0, 3, 0),
            ip6: None,
        }
    }
}

impl BridgeConfig {
    /// The netmask that `prefix_len` stands for.
    #[must_use]
    pub fn netmask(&self) -> Ipv4Addr {
        netmask(self.prefix_len)
    }

    /// The last address of the network, which is its broadcast address in all networks but those of
    /// two addresses.
    #[must_use]
    pub fn last_address(&self) -> Ipv4Addr {
        self.network | !self.netmask()
    }

    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, ConfigError> {
        const ADDRESS: &str = "is not an IPv4 address";
        let mut bridge = Self::default();
        let mut mask = Ipv4Addr::new(255, 255, 255, 0);
        reader.bool("create-bridge", &mut bridge.create)?;
        if let Some(device) = reader.string("bridge-device")? {
            bridge.device = device;
        }
        reader.parsed("bridge-ip", &mut bridge.ip, ADDRESS)?;
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
        bridge.check(mask, reader)?;
        Ok(bridge)
    }

    fn check(&self, mask: Ipv4Addr, reader: &Reader<'_>) -> Result<(), ConfigError> {
        if let Some(why) = wrong_device_name(&self.device) {
            return Err(reader.error("bridge-device", &self.device, why));
        }
        if !(1..=31).contains(&self.prefix_len) {
            return Err(reader.error(
                "bridge-netmask-bitlength",
                self.prefix_len,
                "is not a number from 1 to 31",
            ));
        }
        if mask != self.netmask() {
            let why = format!(
                "is not the netmask of {} bits (bridge-netmask-bitlength), {}",
                self.prefix_len,
                self.netmask()
            );
            return Err(reader.error("bridge-netmask", mask, why));
        }
        if self.network != self.network & mask {
            let why =
                format!("is not the address of a network with netmask {mask} (bridge-netmask)");
            return Err(reader.error("bridge-netaddr", self.network, why));
        }
        if self.ip & mask != self.network {
            let why = format!(
                "is not the network of bridge-ip {} with netmask {mask}",
                self.ip
            );
            return Err(reader.error("bridge-netaddr", self.network, why));
        }
        if self.prefix_len < 31 && (self.ip == self.network || self.ip == self.last_address()) {
            let why = "is the network's own or its broadcast address, which no device may have";
            return Err(reader.error("bridge-ip", self.ip, why));
        }
        Ok(())
    }
}

fn netmask(prefix_len: u8) -> Ipv4Addr {
    Ipv4Addr::from_bits(
        u32::MAX
            .checked_shl(32_u32.saturating_sub(prefix_len.into()))
            .unwrap_or(0),
    )
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
