//! The bridge that connects the containers: made at agent start if it is to be, undone when the
//! agent stops.

mod error;
mod ownership;
mod undo;

pub use error::BridgeError;
use ownership::{FORWARDING, Ownership};

use std::{collections::BTreeSet, net::IpAddr};

use softwarecontainer_capability::error_chain::Chain;

use crate::{
    addresses::mac_of,
    firewall::{Family, HostFirewall},
    netlink::{InterfaceAddress, Link, Netlink, NetlinkError},
    settings::BridgeSettings,
    sysctl::{self, SysctlError},
};

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
    /// On a bridge that this agent or one before it has made, rather than the integrator: what
    /// forwarding was before.
    mark: Option<Ownership>,
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
        let mut firewall = HostFirewall::new(&settings)?;
        let (mark, new) = establish(&netlink, &settings, None)?;
        if mark.is_some() {
            firewall.arrange_routing();
        }
        let mut bridge = Self {
            firewall,
            settings,
            mark,
            new,
        };
        if let Err(error) = bridge.begin(&netlink) {
            if new && let Err(undo) = bridge.undo() {
                log::warn!("after a failure: {}", Chain(&undo));
            }
            return Err(error);
        }
        Ok(bridge)
    }

    fn begin(&mut self, netlink: &Netlink) -> Result<(), BridgeError> {
        if self.mark.is_some() {
            forget_addresses(netlink, &self.settings)?;
            set_up(netlink, &self.settings)?;
        }
        self.firewall.apply()?;
        Ok(self.firewall.set_local(local_addresses(netlink)?)?)
    }

    /// Makes a bridge of ours as it should be again, whatever others have done to it. One that
    /// others make must be there.
    ///
    /// # Errors
    /// [`BridgeError`].
    pub(crate) fn restore(&mut self) -> Result<(), BridgeError> {
        let netlink = Netlink::open()?;
        let (mark, _) = establish(&netlink, &self.settings, self.mark.clone())?;
        self.mark = mark;
        if self.mark.is_some() {
            self.firewall.arrange_routing();
            set_up(&netlink, &self.settings)?;
            // The kernel finds out at once whether it carries packets when it is asked, and
            // otherwise up to a second later (from Linux 6.8).
            netlink.link(&self.settings.device)?;
        }
        Ok(())
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

    /// The error about an address that a bridge of others lacks.
    pub(crate) fn lacks_address(
        &self,
        wanted: InterfaceAddress,
        has: &[InterfaceAddress],
    ) -> BridgeError {
        BridgeError::WrongAddress {
            device: self.settings.device.clone(),
            wanted,
            has: has.to_vec(),
        }
    }

    /// The error about a bridge of others that does not exist.
    pub(crate) fn is_missing(&self) -> BridgeError {
        BridgeError::Missing(self.settings.device.clone())
    }

    /// The error about a bridge of others that is down.
    pub(crate) fn is_down(&self) -> BridgeError {
        BridgeError::Down(self.settings.device.clone())
    }

    /// Whether this agent or one before it has made the bridge.
    pub(crate) fn is_ours(&self) -> bool {
        self.mark.is_some()
    }

    /// Our rules on the host.
    pub fn firewall(&mut self) -> &mut HostFirewall {
        &mut self.firewall
    }

    /// Lets the rules follow the addresses that the host has now.
    ///
    /// # Errors
    /// [`BridgeError`].
    pub(crate) fn follow_addresses(&mut self) -> Result<(), BridgeError> {
        let local = local_addresses(&Netlink::open()?)?;
        Ok(self.firewall.set_local(local)?)
    }

    /// Takes our rules away and, if the bridge is ours and nobody else uses it, the bridge too;
    /// forwarding is then switched back to what it was before the bridge was made.
    ///
    /// # Errors
    /// The first [`BridgeError`]; the other steps are done nevertheless.
    pub fn undo(&mut self) -> Result<(), BridgeError> {
        let Some(before) = self.mark.clone() else {
            return Ok(self.firewall.remove()?);
        };
        // The kernel takes its time for an interface, and the rules go meanwhile.
        let deletion = undo::begin(&self.settings.device);
        let rules = self.firewall.remove().map_err(BridgeError::from);
        let device = deletion.and_then(|unused| match unused {
            Some(unused) => unused.finish(&self.settings.device, before),
            None => Ok(()),
        });
        rules.and(device)
    }
}

/// Makes the bridge if it is absent, and finds out whether it is ours; `mark` is what it was marked
/// with while it was. The other result is whether it was made now.
fn establish(
    netlink: &Netlink,
    settings: &BridgeSettings,
    mark: Option<Ownership>,
) -> Result<(Option<Ownership>, bool), BridgeError> {
    let device = &settings.device;
    let Some(link) = netlink.find_link(device)? else {
        if !settings.create {
            return Err(BridgeError::Missing(device.clone()));
        }
        let mark = match mark {
            Some(mark) => mark,
            None => Ownership::current(&settings.families())?,
        };
        netlink.create_bridge(device, mac_of(settings.ip), &mark.to_string())?;
        return Ok((Some(mark), true));
    };
    if !link.is_bridge() {
        return Err(BridgeError::NotABridge {
            device: device.clone(),
            kind: link.kind,
        });
    }
    if settings.create {
        if let Some(mark) = Ownership::of(&link) {
            return Ok((Some(mark), false));
        }
        // Somebody has made it anew by hand, without anything on it.
        if let Some(mark) = mark
            && netlink
                .addresses(&link)?
                .iter()
                .all(|one| one.address.is_ipv6())
        {
            netlink.set_hardware_address(&link, mac_of(settings.ip))?;
            netlink.set_alias(&link, &mark.to_string())?;
            return Ok((Some(mark), false));
        }
    }
    check_addresses(netlink, &link, settings)?;
    Ok((None, false))
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
        log::warn!("{}", BridgeError::Down(link.name.clone()));
    }
    Ok(())
}

/// An agent with another configuration may have left some.
fn forget_addresses(netlink: &Netlink, settings: &BridgeSettings) -> Result<(), BridgeError> {
    let link = netlink.link(&settings.device)?;
    let wanted = settings.addresses();
    for old in netlink.addresses(&link)? {
        if old.address.is_ipv4() && !wanted.contains(&old) {
            netlink.delete_address(&link, old)?;
        }
    }
    Ok(())
}

fn set_up(netlink: &Netlink, settings: &BridgeSettings) -> Result<(), BridgeError> {
    let link = netlink.link(&settings.device)?;
    for address in settings.addresses() {
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
    let own = own_forwarding(&link.name);
    if sysctl::read(&own)? != "1" {
        sysctl::write(&own, "1")?;
    }
    Ok(())
}

/// The switch for what arrives at one interface; IPv6 has only the one for all.
fn own_forwarding(device: &str) -> String {
    format!("net/ipv4/conf/{device}/forwarding")
}

/// The switch of forwarding of a family, as sysctl(8) calls it.
pub(crate) fn forwarding_switch(family: Family) -> &'static str {
    match family {
        Family::V4 => "net.ipv4.ip_forward",
        Family::V6 => "net.ipv6.conf.all.forwarding",
    }
}

/// In which families the host forwards packets that arrive at the bridge.
///
/// # Errors
/// [`SysctlError`].
pub(crate) fn forwarding(device: &str) -> Result<Vec<Family>, SysctlError> {
    let mut on = Vec::new();
    for (family, name) in FORWARDING {
        if sysctl::exists(name) && sysctl::read(name)? != "0" {
            on.push(family);
        }
    }
    // It is not there while the bridge is not.
    if sysctl::read(&own_forwarding(device)).is_ok_and(|own| own == "0") {
        on.retain(|family| *family != Family::V4);
    }
    Ok(on)
}
