//! The bridge that connects the containers: made at agent start if it is to be, undone when the
//! agent stops.

mod firewall;
mod mark;

use std::fmt;

pub use firewall::{Classified, HostFirewall};
use mark::Mark;

use super::addresses::mac_of;
use super::iptables::{Family, FirewallError};
use super::netlink::{InterfaceAddress, Link, Netlink, NetlinkError};
use super::sysctl::{self, SysctlError};
use crate::settings::BridgeSettings;

/// Why the bridge cannot be used.
#[derive(Debug)]
#[non_exhaustive]
pub enum BridgeError {
    /// It does not exist and must not be made.
    Missing(String),
    /// An interface of that name is something else.
    NotABridge {
        /// Its name.
        device: String,
        /// Its kind, if it has one.
        kind: Option<String>,
    },
    /// It belongs to somebody else and lacks the configured address.
    WrongAddress {
        /// Its name.
        device: String,
        /// The configured address.
        wanted: InterfaceAddress,
        /// The addresses that it has.
        has: Vec<InterfaceAddress>,
    },
    /// The kernel refused.
    Netlink(NetlinkError),
    /// A kernel setting cannot be read or written.
    Sysctl(SysctlError),
    /// The firewall refused.
    Firewall(FirewallError),
}

impl fmt::Display for BridgeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing(device) => {
                write!(
                    f,
                    "bridge {device} does not exist, and the configuration says not to create it"
                )
            }
            Self::NotABridge { device, kind } => {
                let kind = kind.as_deref().unwrap_or("hardware or loopback");
                write!(f, "network interface {device} is no bridge but {kind}")
            }
            Self::WrongAddress {
                device,
                wanted,
                has,
            } => {
                let has: Vec<String> = has.iter().map(ToString::to_string).collect();
                let has = if has.is_empty() {
                    "none".to_owned()
                } else {
                    has.join(", ")
                };
                write!(
                    f,
                    "bridge {device} exists without the configured address {wanted} (it has {has})"
                )
            }
            Self::Netlink(source) => source.fmt(f),
            Self::Sysctl(source) => source.fmt(f),
            Self::Firewall(source) => source.fmt(f),
        }
    }
}

impl std::error::Error for BridgeError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Missing(_) | Self::NotABridge { .. } | Self::WrongAddress { .. } => None,
            Self::Netlink(source) => Some(source),
            Self::Sysctl(source) => Some(source),
            Self::Firewall(source) => Some(source),
        }
    }
}

impl From<NetlinkError> for BridgeError {
    fn from(source: NetlinkError) -> Self {
        Self::Netlink(source)
    }
}

impl From<SysctlError> for BridgeError {
    fn from(source: SysctlError) -> Self {
        Self::Sysctl(source)
    }
}

impl From<FirewallError> for BridgeError {
    fn from(source: FirewallError) -> Self {
        Self::Firewall(source)
    }
}

/// Forwarding switches by family, in the order of [`Mark`].
const FORWARDING: [(Family, &str); 2] = [
    (Family::V4, "net/ipv4/ip_forward"),
    (Family::V6, "net/ipv6/conf/all/forwarding"),
];

/// The bridge, ready for containers.
#[derive(Debug)]
pub struct Bridge {
    config: BridgeSettings,
    /// Made by this agent or one before it, rather than by the integrator.
    ours: bool,
    firewall: HostFirewall,
}

impl Bridge {
    /// Makes the bridge, or takes over the one that is there.
    ///
    /// A bridge that somebody else has made is used as it is: neither forwarding nor masquerading
    /// is touched.
    ///
    /// # Errors
    /// [`BridgeError`]; what was done is undone.
    pub fn ensure(config: BridgeSettings) -> Result<Self, BridgeError> {
        let netlink = Netlink::open()?;
        let (ours, new) = match netlink.find_link(&config.device)? {
            None if !config.create => return Err(BridgeError::Missing(config.device)),
            None => {
                let mark = Mark::current(&config.families())?;
                netlink.create_bridge(&config.device, mac_of(config.ip), &mark.to_string())?;
                (true, true)
            }
            Some(link) if link.kind.as_deref() != Some("bridge") => {
                return Err(BridgeError::NotABridge {
                    device: config.device,
                    kind: link.kind,
                });
            }
            Some(link) if config.create && Mark::of(&link).is_some() => (true, false),
            Some(link) => {
                check_addresses(&netlink, &link, &config)?;
                (false, false)
            }
        };
        let mut firewall = HostFirewall::new(&config, ours);
        let ready = if ours {
            set_up(&netlink, &config, &mut firewall)
        } else {
            firewall.apply().map_err(BridgeError::from)
        };
        if let Err(error) = ready {
            if new {
                let mut bridge = Self {
                    config,
                    ours,
                    firewall,
                };
                if let Err(undo) = bridge.undo() {
                    log::warn!("after a failure, {undo}");
                }
            }
            return Err(error);
        }
        Ok(Self {
            config,
            ours,
            firewall,
        })
    }

    /// What was configured.
    #[must_use]
    pub fn config(&self) -> &BridgeSettings {
        &self.config
    }

    /// Our rules on the host.
    pub fn firewall(&mut self) -> &mut HostFirewall {
        &mut self.firewall
    }

    /// Takes our rules away and, if the bridge is ours and nobody else uses it, the bridge too;
    /// forwarding is then switched back to what it was before the bridge was made.
    ///
    /// # Errors
    /// The first [`BridgeError`]; the other steps are done nevertheless.
    pub fn undo(&mut self) -> Result<(), BridgeError> {
        let rules = self.firewall.remove().map_err(BridgeError::from);
        let device = if self.ours {
            self.undo_device()
        } else {
            Ok(())
        };
        rules.and(device)
    }

    fn undo_device(&self) -> Result<(), BridgeError> {
        let netlink = Netlink::open()?;
        let Some(link) = netlink.find_link(&self.config.device)? else {
            return Ok(());
        };
        let links = netlink.links()?;
        if let Some(port) = links.iter().find(|other| other.master == Some(link.index)) {
            log::warn!("bridge {} stays, because {} uses it", link.name, port.name);
            return Ok(());
        }
        netlink.delete_link(&link)?;
        let Some(before) = Mark::of(&link) else {
            return Ok(());
        };
        // The bridge of another agent still needs forwarding; the last one switches it back.
        let other = links
            .iter()
            .filter(|other| other.index != link.index)
            .find_map(|other| Mark::of(other).map(|mark| (other, mark)));
        match other {
            Some((other, mark)) => netlink.set_alias(other, &mark.earlier(&before).to_string())?,
            None => before.restore()?,
        }
        Ok(())
    }
}

fn check_addresses(
    netlink: &Netlink,
    link: &Link,
    config: &BridgeSettings,
) -> Result<(), BridgeError> {
    let has = netlink.addresses(link)?;
    for wanted in config.addresses() {
        if !has.contains(&wanted) {
            return Err(BridgeError::WrongAddress {
                device: link.name.clone(),
                wanted,
                has,
            });
        }
    }
    if !link.up {
        log::warn!(
            "bridge {} is down; whoever made it has to set it up",
            link.name
        );
    }
    Ok(())
}

fn set_up(
    netlink: &Netlink,
    config: &BridgeSettings,
    firewall: &mut HostFirewall,
) -> Result<(), BridgeError> {
    let link = netlink.link(&config.device)?;
    let wanted = config.addresses();
    for old in netlink.addresses(&link)? {
        // An agent with another configuration may have left it.
        if old.address.is_ipv4() && !wanted.contains(&old) {
            netlink.delete_address(&link, old)?;
        }
    }
    for address in wanted {
        netlink.add_address(&link, address)?;
    }
    for setting in ["accept_dad", "accept_ra"] {
        // Nobody else can have the addresses of a bridge that we made, and no container may
        // advertise routes. Without duplicate detection IPv6 works from the first container's first
        // moment.
        let name = format!("net/ipv6/conf/{}/{setting}", link.name);
        if sysctl::exists(&name) {
            sysctl::write(&name, "0")?;
        }
    }
    netlink.set_up(&link, true)?;
    for (family, name) in FORWARDING {
        if config.families().contains(&family) && sysctl::read(name)? != "1" {
            sysctl::write(name, "1")?;
        }
    }
    firewall.apply()?;
    Ok(())
}
