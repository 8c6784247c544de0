//! Network interfaces that are made.

use neli::consts::{
    nl::NlmF,
    rtnl::{Ifla, IflaInfo, Rtm},
};

use super::{
    Link, MacAddress, Netlink, NetlinkError, attribute, c_string, encoding,
    link::{IFB, link_message},
};

impl Netlink {
    /// Creates a bridge that is down and has no IP address. Its hardware address is given, because
    /// otherwise it changes with the ports that come and go.
    ///
    /// # Errors
    /// [`NetlinkError`], source RTM_NEWLINK of rtnetlink(7); EEXIST if the name is taken.
    pub fn create_bridge(
        &self,
        name: &str,
        mac: MacAddress,
        alias: &str,
    ) -> Result<(), NetlinkError> {
        self.create(name, "bridge", Some(mac))?;
        // Creation ignores IFLA_IFALIAS, so it takes a second message.
        let made = self.link(name)?;
        self.set_alias(&made, alias)
    }

    /// Creates an interface that is up and brings back at its place what is redirected to it (ifb).
    ///
    /// # Errors
    /// [`NetlinkError`], source RTM_NEWLINK of rtnetlink(7); EOPNOTSUPP without CONFIG_IFB, EEXIST
    /// if the name is taken.
    pub fn create_ifb(&self, name: &str, alias: &str) -> Result<Link, NetlinkError> {
        self.create(name, IFB, None)?;
        let made = self.link(name)?;
        self.set_alias(&made, alias)?;
        self.set_up(&made, true)?;
        Ok(made)
    }

    fn create(&self, name: &str, kind: &str, mac: Option<MacAddress>) -> Result<(), NetlinkError> {
        let attempt = format!("create {kind} {name}");
        let kind = attribute(&attempt, IflaInfo::Kind, kind.as_bytes())?;
        let info = attribute(&attempt, Ifla::Linkinfo, &[])?
            .nest(&kind)
            .map_err(|error| encoding(&attempt, &error))?;
        let mut list = vec![attribute(&attempt, Ifla::Ifname, &c_string(name))?, info];
        if let Some(mac) = mac {
            list.push(attribute(&attempt, Ifla::Address, &mac.0)?);
        }
        let message = link_message(&attempt, 0, None, list)?;
        self.request(&attempt, Rtm::Newlink, NlmF::CREATE | NlmF::EXCL, message)
    }
}
