//! The bridge that connects the containers: made at agent start if it is to be, undone when the
//! agent stops.

mod ownership;

use ownership::{FORWARDING, Ownership};

use std::{collections::BTreeSet, net::IpAddr};

use softwarecontainer_capability::error_chain::Chain;

use crate::{
    addresses::mac_of,
    firewall::{FirewallError, HostFirewall},
    netlink::{InterfaceAddress, Link, Netlink, NetlinkError},
    settings::BridgeSettings,
    sysctl::{self, SysctlError},
};

/// Why the bridge cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BridgeError {
    /// It does not exist and must not be made.
    #[error("bridge {0} does not exist, and the configuration says not to create it")]
    Missing(String),
    /// An interface of that name is something else.
    #[error("network interface {device} is no bridge but {}", kind.as_deref().unwrap_or("hardware or loopback"))]
    NotABridge {
        /// Its name.
        device: String,
        /// Its kind, if it has one.
        kind: Option<String>,
    },
    /// It belongs to somebody else and lacks the configured address.
    #[error(
        "bridge {device} exists without the configured address {wanted} (it has {})",
        list(has)
    )]
    WrongAddress {
        /// Its name.
        device: String,
        /// The configured address.
        wanted: InterfaceAddress,
        /// The addresses that it has.
        has: Vec<InterfaceAddress>,
    },
    /// The kernel refused.
    #[error(transparent)]
    Netlink(#[from] NetlinkError),
    /// A kernel setting cannot be read or written.
    #[error(transparent)]
    Sysctl(#[from] SysctlError),
    /// The firewall refused.
    #[error(transparent)]
    Firewall(#[from] FirewallError),
}

fn list(addresses: &[InterfaceAddress]) -> String {
    if addresses.is_empty() {
        return "none".to_owned();
    }
    let texts: Vec<String> = addresses.iter().map(ToString::to_string).collect();
    texts.join(", ")
}

/// All addresses of the host but loopback.
fn local_addresses(netlink: &Netlink) -> Result<BTreeSet<IpAddr>, NetlinkError> {
    let all = netlink.interface_addresses()?.into_iter();
    let addresses = all.map(|(_, one)| one.address);
    Ok(addresses.filter(|one| !one.is_loopback()).collect())
}

/// The bridge, ready for containers.
#[derive(Debug)]
pub struct Bridge {
    settings: BridgeSettings,
    /// Made by this agent or one before it, rather than by the integrator.
    ours: bool,
    /// It was made now.
    new: bool,
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
    pub fn ensure(settings: BridgeSettings) -> Result<Self, BridgeError> {
        let netlink = Netlink::open()?;
        let (ours, new) = match netlink.find_link(&settings.device)? {
            None if !settings.create => return Err(BridgeError::Missing(settings.device)),
            None => {
                let mark = Ownership::current(&settings.families())?;
                netlink.create_bridge(&settings.device, mac_of(settings.ip), &mark.to_string())?;
                (true, true)
            }
            Some(link) if link.kind.as_deref() != Some("bridge") => {
                return Err(BridgeError::NotABridge {
                    device: settings.device,
                    kind: link.kind,
                });
            }
            Some(link) if settings.create && Ownership::of(&link).is_some() => (true, false),
            Some(link) => {
                check_addresses(&netlink, &link, &settings)?;
                (false, false)
            }
        };
        let mut firewall = HostFirewall::new(&settings, ours);
        let ready = if ours {
            set_up(&netlink, &settings, &mut firewall)
        } else {
            firewall.apply().map_err(BridgeError::from)
        };
        if let Err(error) = ready {
            if new {
                let mut bridge = Self {
                    settings,
                    ours,
                    new,
                    firewall,
                };
                if let Err(undo) = bridge.undo() {
                    log::warn!("after a failure: {}", Chain(&undo));
                }
            }
            return Err(error);
        }
        firewall.set_local(local_addresses(&netlink)?)?;
        Ok(Self {
            settings,
            ours,
            new,
            firewall,
        })
    }

    /// What was configured.
    #[must_use]
    pub fn settings(&self) -> &BridgeSettings {
        &self.settings
    }

    /// Whether it was there before, perhaps with containers of an earlier agent.
    pub(crate) fn was_there(&self) -> bool {
        !self.new
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
        let Some(link) = netlink.find_link(&self.settings.device)? else {
            return Ok(());
        };
        let links = netlink.links()?;
        if let Some(port) = links.iter().find(|other| other.master == Some(link.index)) {
            log::warn!("bridge {} stays, because {} uses it", link.name, port.name);
            return Ok(());
        }
        netlink.delete_link(&link)?;
        let Some(before) = Ownership::of(&link) else {
            return Ok(());
        };
        // The bridge of another agent still needs forwarding; the last one switches it back.
        let other = links
            .iter()
            .filter(|other| other.index != link.index)
            .find_map(|other| Ownership::of(other).map(|mark| (other, mark)));
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
    settings: &BridgeSettings,
) -> Result<(), BridgeError> {
    let has = netlink.addresses(link)?;
    for wanted in settings.addresses() {
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
    settings: &BridgeSettings,
    firewall: &mut HostFirewall,
) -> Result<(), BridgeError> {
    let link = netlink.link(&settings.device)?;
    let wanted = settings.addresses();
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
        if settings.families().contains(&family) && sysctl::read(name)? != "1" {
            sysctl::write(name, "1")?;
        }
    }
    firewall.apply()?;
    Ok(())
}
