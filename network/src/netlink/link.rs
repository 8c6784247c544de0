//! Network interfaces: look up, create, delete, set up or down, name the bridge they belong to.

use std::{
    fmt,
    io::Cursor,
    thread,
    time::{Duration, Instant},
};

use neli::{
    FromBytesWithInput,
    consts::{
        nl::NlmF,
        rtnl::{Iff, Ifla, IflaInfo, RtAddrFamily, Rtm},
    },
    rtnl::{Ifinfomsg, IfinfomsgBuilder, Rtattr},
    types::{Buffer, RtBuffer},
};

use super::{Netlink, NetlinkError, attribute, attributes, c_string, encoding};

/// An Ethernet hardware address.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct MacAddress(pub [u8; 6]);

impl fmt::Display for MacAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

impl fmt::Debug for MacAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// RTEXT_FILTER_SKIP_STATS of linux/rtnetlink.h.
const SKIP_STATISTICS: u32 = 1 << 3;
/// As in `ip link add … type KIND`.
pub(super) const IFB: &str = "ifb";

/// A network interface as the kernel describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// Interface index, unique in its network namespace.
    pub index: i32,
    /// Name, at most 15 bytes.
    pub name: String,
    /// Whether it is administratively up (IFF_UP).
    pub up: bool,
    /// Whether it carries packets (IFF_RUNNING), which the kernel decides a little later.
    pub running: bool,
    /// Largest payload of a frame, in bytes.
    pub mtu: Option<u32>,
    /// Kind as in `ip link add … type KIND`; `None` for hardware and loopback.
    pub kind: Option<String>,
    /// The free text of IFLA_IFALIAS, which stays with the interface as long as it lives.
    pub alias: Option<String>,
    /// Index of the bridge (or bond …) that it is a port of.
    pub master: Option<i32>,
}

impl Link {
    /// Whether it is a bridge of the kernel's own kind.
    pub fn is_bridge(&self) -> bool {
        self.kind.as_deref() == Some("bridge")
    }

    /// Whether it brings back what is redirected to it.
    pub fn is_ifb(&self) -> bool {
        self.kind.as_deref() == Some(IFB)
    }
}

impl Netlink {
    /// Looks an interface up by name.
    ///
    /// # Errors
    /// [`NetlinkError`], source RTM_GETLINK of rtnetlink(7).
    pub fn find_link(&self, name: &str) -> Result<Option<Link>, NetlinkError> {
        let attempt = format!("look up network interface {name}");
        let message = link_message(
            &attempt,
            0,
            None,
            [attribute(&attempt, Ifla::Ifname, &c_string(name))?],
        )?;
        match self.query(&attempt, Rtm::Getlink, NlmF::empty(), message) {
            Ok(bodies) => bodies.first().map(|body| parse(&attempt, body)).transpose(),
            Err(error) if error.errno() == Some(libc::ENODEV) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The interface of that name.
    ///
    /// # Errors
    /// [`NetlinkError::NoSuchLink`] and those of [`Netlink::find_link`].
    pub fn link(&self, name: &str) -> Result<Link, NetlinkError> {
        self.find_link(name)?
            .ok_or_else(|| NetlinkError::NoSuchLink(name.to_owned()))
    }

    /// All interfaces of the namespace.
    ///
    /// # Errors
    /// [`NetlinkError`], source RTM_GETLINK of rtnetlink(7).
    pub fn links(&self) -> Result<Vec<Link>, NetlinkError> {
        let attempt = "list the network interfaces";
        // The counters of each interface on each processor take longer than all the rest.
        let skip = attribute(attempt, Ifla::ExtMask, &SKIP_STATISTICS.to_ne_bytes())?;
        let message = link_message(attempt, 0, None, [skip])?;
        self.query(attempt, Rtm::Getlink, NlmF::DUMP, message)?
            .iter()
            .map(|body| parse(attempt, body))
            .collect()
    }

    /// Writes the free text of an interface.
    ///
    /// # Errors
    /// [`NetlinkError`], source RTM_SETLINK of rtnetlink(7).
    pub fn set_alias(&self, link: &Link, alias: &str) -> Result<(), NetlinkError> {
        let attempt = format!("set the alias of {}", link.name);
        let text = attribute(&attempt, Ifla::Ifalias, alias.as_bytes())?;
        let message = link_message(&attempt, link.index, None, [text])?;
        self.request(&attempt, Rtm::Setlink, NlmF::empty(), message)
    }

    /// Gives an interface a hardware address.
    ///
    /// # Errors
    /// [`NetlinkError`], source RTM_SETLINK of rtnetlink(7).
    pub fn set_hardware_address(&self, link: &Link, mac: MacAddress) -> Result<(), NetlinkError> {
        let attempt = format!("give {} the hardware address {mac}", link.name);
        let address = attribute(&attempt, Ifla::Address, &mac.0)?;
        let message = link_message(&attempt, link.index, None, [address])?;
        self.request(&attempt, Rtm::Setlink, NlmF::empty(), message)
    }

    /// Sets an interface up or down.
    ///
    /// # Errors
    /// [`NetlinkError`], source RTM_SETLINK of rtnetlink(7).
    pub fn set_up(&self, link: &Link, up: bool) -> Result<(), NetlinkError> {
        let attempt = format!(
            "set network interface {} {}",
            link.name,
            if up { "up" } else { "down" }
        );
        let message = link_message(&attempt, link.index, Some(up), [])?;
        self.request(&attempt, Rtm::Setlink, NlmF::empty(), message)
    }

    /// Makes an interface a port of a bridge.
    ///
    /// # Errors
    /// [`NetlinkError`], source RTM_SETLINK of rtnetlink(7).
    pub fn set_master(&self, link: &Link, bridge: &Link) -> Result<(), NetlinkError> {
        let attempt = format!("make {} a port of bridge {}", link.name, bridge.name);
        let master = attribute(&attempt, Ifla::Master, &bridge.index.to_ne_bytes())?;
        let message = link_message(&attempt, link.index, None, [master])?;
        self.request(&attempt, Rtm::Setlink, NlmF::empty(), message)
    }

    /// Waits until an interface that was set up carries packets. The kernel does that work later,
    /// in another thread; what is sent before is lost. From Linux 6.8 on the question itself makes
    /// the kernel do it at once.
    ///
    /// Returns false if it does not within `limit`: nothing is connected to it, for example.
    ///
    /// # Errors
    /// [`NetlinkError`], source RTM_GETLINK of rtnetlink(7).
    pub fn wait_until_running(&self, name: &str, limit: Duration) -> Result<bool, NetlinkError> {
        let end = Instant::now() + limit;
        while !self.link(name)?.running {
            if Instant::now() >= end {
                return Ok(false);
            }
            thread::sleep(POLL);
        }
        Ok(true)
    }
}

/// How often [`Netlink::wait_until_running`] looks.
const POLL: Duration = Duration::from_millis(1);

pub(super) fn link_message(
    attempt: &str,
    index: i32,
    up: Option<bool>,
    list: impl IntoIterator<Item = Rtattr<Ifla, Buffer>>,
) -> Result<Ifinfomsg, NetlinkError> {
    let flags = if up == Some(true) {
        Iff::UP
    } else {
        Iff::empty()
    };
    let change = if up.is_some() { Iff::UP } else { Iff::empty() };
    IfinfomsgBuilder::default()
        .ifi_family(RtAddrFamily::Unspecified)
        .ifi_index(index)
        .ifi_flags(flags)
        .ifi_change(change)
        .rtattrs(attributes(list))
        .build()
        .map_err(|error| encoding(attempt, &error))
}

fn parse(attempt: &str, body: &Buffer) -> Result<Link, NetlinkError> {
    let message =
        Ifinfomsg::from_bytes_with_input(&mut Cursor::new(body.as_ref()), body.as_ref().len())
            .map_err(|error| encoding(attempt, &error))?;
    let handle = message.rtattrs().get_attr_handle();
    let text = |kind| {
        handle
            .get_attribute(kind)
            .map(|found| from_c_string(found.rta_payload().as_ref()))
    };
    let number = |kind| -> Option<[u8; 4]> {
        let found = handle.get_attribute(kind)?;
        found.rta_payload().as_ref().try_into().ok()
    };
    let kind = handle.get_attribute(Ifla::Linkinfo).and_then(|info| {
        let info = info.rta_payload().as_ref();
        RtBuffer::<u16, Buffer>::from_bytes_with_input(&mut Cursor::new(info), info.len())
            .ok()?
            .iter()
            .find(|inner| *inner.rta_type() == u16::from(IflaInfo::Kind))
            .map(|inner| from_c_string(inner.rta_payload().as_ref()))
    });
    Ok(Link {
        index: *message.ifi_index(),
        name: text(Ifla::Ifname).unwrap_or_default(),
        up: message.ifi_flags().contains(Iff::UP),
        running: message.ifi_flags().contains(Iff::RUNNING),
        mtu: number(Ifla::Mtu).map(u32::from_ne_bytes),
        kind,
        alias: text(Ifla::Ifalias),
        master: number(Ifla::Master).map(i32::from_ne_bytes),
    })
}

fn from_c_string(bytes: &[u8]) -> String {
    let end = bytes
        .iter()
        .position(|byte| *byte == 0)
        .unwrap_or(bytes.len());
    String::from_utf8_lossy(bytes.get(..end).unwrap_or_default()).into_owned()
}
