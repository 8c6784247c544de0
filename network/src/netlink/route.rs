//! Routes.

use std::net::IpAddr;

use neli::{
    consts::{
        nl::NlmF,
        rtnl::{RtScope, RtTable, Rta, Rtm, Rtn, Rtprot},
    },
    rtnl::RtmsgBuilder,
};

use super::{
    Link, Netlink, NetlinkError,
    address::{bytes_of, family_of},
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
}
