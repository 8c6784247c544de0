//! Routes.

use std::{io::Cursor, net::IpAddr};

use neli::{
    FromBytesWithInput,
    consts::{
        nl::NlmF,
        rtnl::{RtAddrFamily, RtScope, RtTable, Rta, Rtm, Rtn, Rtprot},
    },
    rtnl::{Rtmsg, RtmsgBuilder},
};

use super::{
    InterfaceAddress, Link, Netlink, NetlinkError,
    address::{address_from, bytes_of, family_of},
    attribute, attributes, encoding,
};

impl Netlink {
    /// Sets the default route of the gateway's address family; one that exists is replaced.
    ///
    /// # Errors
    /// [`NetlinkError`], source RTM_NEWROUTE of rtnetlink(7).
    pub fn set_default_route(&self, link: &Link, gateway: IpAddr) -> Result<(), NetlinkError> {
        let attempt = format!("set the default route via {gateway} on {}", link.name);
        let message = RtmsgBuilder::default()
            .rtm_family(family_of(gateway))
            .rtm_dst_len(0)
            .rtm_src_len(0)
            .rtm_tos(0)
            .rtm_table(RtTable::Main)
            .rtm_protocol(Rtprot::Static)
            .rtm_scope(RtScope::Universe)
            .rtm_type(Rtn::Unicast)
            .rtattrs(attributes([
                attribute(&attempt, Rta::Gateway, &bytes_of(gateway))?,
                attribute(&attempt, Rta::Oif, &link.index.to_ne_bytes())?,
            ]))
            .build()
            .map_err(|error| encoding(&attempt, &error))?;
        self.request(
            &attempt,
            Rtm::Newroute,
            NlmF::CREATE | NlmF::REPLACE,
            message,
        )
    }

    /// The networks that the main routing table leads to, with the indexes of the interfaces; no
    /// default routes.
    ///
    /// # Errors
    /// [`NetlinkError`], source RTM_GETROUTE of rtnetlink(7).
    pub fn routes(&self) -> Result<Vec<(i32, InterfaceAddress)>, NetlinkError> {
        let attempt = "list the routes";
        let message = RtmsgBuilder::default()
            .rtm_family(RtAddrFamily::Unspecified)
            .rtm_dst_len(0)
            .rtm_src_len(0)
            .rtm_tos(0)
            .rtm_table(RtTable::Unspec)
            .rtm_protocol(Rtprot::Unspec)
            .rtm_scope(RtScope::Universe)
            .rtm_type(Rtn::Unspec)
            .rtattrs(attributes([]))
            .build()
            .map_err(|error| encoding(attempt, &error))?;
        let mut found = Vec::new();
        for body in self.query(attempt, Rtm::Getroute, NlmF::DUMP, message)? {
            let body = body.as_ref();
            let message = Rtmsg::from_bytes_with_input(&mut Cursor::new(body), body.len())
                .map_err(|error| encoding(attempt, &error))?;
            let of_main = *message.rtm_table() == RtTable::Main;
            if of_main && *message.rtm_type() == Rtn::Unicast {
                found.extend(parse(&message));
            }
        }
        Ok(found)
    }
}

/// `None`: a default route, or one with several ways.
fn parse(message: &Rtmsg) -> Option<(i32, InterfaceAddress)> {
    let handle = message.rtattrs().get_attr_handle();
    let index = handle.get_attribute(Rta::Oif)?.rta_payload().as_ref();
    let address = address_from(handle.get_attribute(Rta::Dst)?.rta_payload())?;
    let prefix = *message.rtm_dst_len();
    let index = i32::from_ne_bytes(index.try_into().ok()?);
    Some((index, InterfaceAddress { address, prefix }))
}
