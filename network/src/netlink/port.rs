//! Ports of a bridge: their flags, and the addresses that the bridge expects behind them.

use neli::{
    consts::{
        nl::NlmF,
        rtnl::{Ifla, Nda, Ntf, Nud, RtAddrFamily, Rtm, Rtn},
    },
    rtnl::{IfinfomsgBuilder, NdmsgBuilder, Rtattr},
    types::Buffer,
};

use super::{Link, MacAddress, Netlink, NetlinkError, attribute, attributes, encoding};

/// `AF_BRIDGE` of socket(2), which neli's list of families lacks.
const AF_BRIDGE: u8 = 7;
/// NLA_F_NESTED of netlink(7): the bridge reads the new form of IFLA_PROTINFO only with it.
const NESTED: u16 = 1 << 15;
// enum of linux/if_link.h.
const IFLA_BRPORT_GUARD: u16 = 5;
const IFLA_BRPORT_LEARNING: u16 = 8;
const IFLA_BRPORT_UNICAST_FLOOD: u16 = 9;
const IFLA_BRPORT_ISOLATED: u16 = 33;

/// What a bridge does with the frames of one of its ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PortFlags {
    /// Isolated ports do not reach one another, only ports that are not isolated.
    pub isolated: bool,
    /// The bridge learns which addresses are behind the port from the frames that it sends.
    pub learning: bool,
    /// Frames for an address that is behind no known port are sent here too.
    pub flood: bool,
    /// Spanning tree messages from the port disable it.
    pub guard: bool,
}

impl Netlink {
    /// Sets the flags of a bridge port.
    ///
    /// # Errors
    /// [`NetlinkError`], source RTM_SETLINK of rtnetlink(7) for AF_BRIDGE.
    pub fn set_port_flags(&self, link: &Link, flags: PortFlags) -> Result<(), NetlinkError> {
        let attempt = format!("set the bridge port flags of {}", link.name);
        let mut info: Rtattr<Ifla, Buffer> = attribute(
            &attempt,
            Ifla::from(u16::from(Ifla::Protinfo) | NESTED),
            &[],
        )?;
        for (kind, on) in [
            (IFLA_BRPORT_GUARD, flags.guard),
            (IFLA_BRPORT_LEARNING, flags.learning),
            (IFLA_BRPORT_UNICAST_FLOOD, flags.flood),
            (IFLA_BRPORT_ISOLATED, flags.isolated),
        ] {
            info = info
                .nest(&attribute(&attempt, kind, &[u8::from(on)])?)
                .map_err(|error| encoding(&attempt, &error))?;
        }
        let message = IfinfomsgBuilder::default()
            .ifi_family(RtAddrFamily::from(AF_BRIDGE))
            .ifi_index(link.index)
            .rtattrs(attributes([info]))
            .build()
            .map_err(|error| encoding(&attempt, &error))?;
        self.request(&attempt, Rtm::Setlink, NlmF::empty(), message)
    }

    /// Tells the bridge for good which hardware address is behind a port (`bridge fdb … static`).
    ///
    /// # Errors
    /// [`NetlinkError`], source RTM_NEWNEIGH of rtnetlink(7) for AF_BRIDGE.
    pub fn pin_address_to_port(&self, link: &Link, mac: MacAddress) -> Result<(), NetlinkError> {
        let attempt = format!("pin hardware address {mac} to bridge port {}", link.name);
        let message = NdmsgBuilder::default()
            .ndm_family(RtAddrFamily::from(AF_BRIDGE))
            .ndm_index(link.index)
            .ndm_state(Nud::NOARP | Nud::REACHABLE)
            .ndm_flags(Ntf::MASTER)
            .ndm_type(Rtn::Unspec)
            .rtattrs(attributes([attribute(&attempt, Nda::Lladdr, &mac.0)?]))
            .build()
            .map_err(|error| encoding(&attempt, &error))?;
        self.request(
            &attempt,
            Rtm::Newneigh,
            NlmF::CREATE | NlmF::REPLACE,
            message,
        )
    }
}
