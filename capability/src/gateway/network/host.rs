//! The `host` of a rule.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

/// How rules say [`Host::Gateway`].
const GATEWAY: &str = "gateway";

/// Who the other side of a conversation may be.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Host {
    /// Anybody, IPv4 and IPv6; the world outside, for what the container starts.
    Any,
    /// The host, at its address on the bridge.
    Gateway,
    /// Every address that begins with the same `prefix` bits; a single one has 32 or 128 of them.
    Network {
        /// The first address of the network: no bit is set behind the prefix.
        address: IpAddr,
        /// Length of the prefix in bits.
        prefix: u8,
    },
    /// A host name in lower case, to be resolved when the rule is applied.
    Name(String),
}

impl Host {
    /// Reads `*`, `gateway`, an address, a network in CIDR notation or a host name.
    ///
    /// # Errors
    /// What is wrong with it, as the end of a sentence.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        if text == "*" {
            return Ok(Self::Any);
        }
        if text == GATEWAY {
            return Ok(Self::Gateway);
        }
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        if let Ok(address) = address.parse::<IpAddr>() {
            return network(address, prefix);
        }
        if prefix.is_some() {
            return Err("is no address with a prefix length");
        }
        if text.contains(':') {
            return Err("is no IPv6 address");
        }
        name(text)
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("*"),
            Self::Gateway => f.write_str(GATEWAY),
            Self::Network { address, prefix } => write!(f, "{address}/{prefix}"),
            Self::Name(name) => f.write_str(name),
        }
    }
}

fn network(address: IpAddr, prefix: Option<&str>) -> Result<Host, &'static str> {
    let longest: u8 = if address.is_ipv4() { 32 } else { 128 };
    let prefix = match prefix {
        None => longest,
        Some(digits) if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) => {
            return Err("has a prefix length that is no number");
        }
        Some(digits) => digits
            .parse()
            .ok()
            .filter(|bits| *bits <= longest)
            .ok_or("has a prefix length that is too large")?,
    };
    let address = match address {
        IpAddr::V4(v4) => {
            let mask = u32::MAX.checked_shl(32 - u32::from(prefix)).unwrap_or(0);
            IpAddr::V4(Ipv4Addr::from(u32::from(v4) & mask))
        }
        IpAddr::V6(v6) => {
            let mask = u128::MAX.checked_shl(128 - u32::from(prefix)).unwrap_or(0);
            IpAddr::V6(Ipv6Addr::from(u128::from(v6) & mask))
        }
    };
    Ok(Host::Network { address, prefix })
}

/// Host names as RFC 1123 has them, with the underscore that some local networks use.
fn name(text: &str) -> Result<Host, &'static str> {
    let labels = text.strip_suffix('.').unwrap_or(text);
    let valid_label = |label: &str| {
        !label.is_empty()
            && label.len() <= 63
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
    };
    if labels.len() > 253 || !labels.split('.').all(valid_label) {
        return Err("is no address, network or host name");
    }
    // `10.0.3` and `10.0.0.256` would be looked up as names, or worse, read as other addresses by
    // the resolver.
    let last = labels.rsplit('.').next().unwrap_or_default();
    if last.bytes().all(|b| b.is_ascii_digit()) || last.starts_with("0x") || last.starts_with("0X")
    {
        return Err("is no IPv4 address");
    }
    Ok(Host::Name(labels.to_ascii_lowercase()))
}
