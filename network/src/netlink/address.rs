//! Addresses of interfaces.

use std::{
    fmt,
    io::Cursor,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

use neli::{
    FromBytesWithInput,
    consts::{
        nl::NlmF,
        rtnl::{Ifa, RtAddrFamily, RtScope, Rtm},
    },
    rtnl::{Ifaddrmsg, IfaddrmsgBuilder},
    types::Buffer,
};

use super::{Link, Netlink, NetlinkError, attribute, attributes, encoding};

/// IFA_F_NODAD of linux/if_addr.h: the address is usable at once.
const NO_DUPLICATE_DETECTION: u32 = 0x02;
/// IFA_FLAGS of linux/if_addr.h.
const IFA_FLAGS: u16 = 8;

/// An address and the length of its network prefix in bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InterfaceAddress {
    /// The address itself.
    pub address: IpAddr,
    /// 0 to 32, or 128.
    pub prefix: u8,
}

impl fmt::Display for InterfaceAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

impl Netlink {
    /// Gives an interface an address; it is no error if it has it already.
    ///
    /// # Errors
    /// [`NetlinkError`], source RTM_NEWADDR of rtnetlink(7).
    pub fn add_address(&self, link: &Link, address: InterfaceAddress) -> Result<(), NetlinkError> {
        let attempt = format!("add address {address} to {}", link.name);
        let message = message(&attempt, link, address)?;
        self.request(
            &attempt,
            Rtm::Newaddr,
            NlmF::CREATE | NlmF::REPLACE,
            message,
        )
    }

    /// Takes an address from an interface.
    ///
    /// # Errors
    /// [`NetlinkError`], source RTM_DELADDR of rtnetlink(7).
    pub fn delete_address(
        &self,
        link: &Link,
        address: InterfaceAddress,
    ) -> Result<(), NetlinkError> {
        let attempt = format!("take address {address} from {}", link.name);
        let message = message(&attempt, link, address)?;
        self.request(&attempt, Rtm::Deladdr, NlmF::empty(), message)
    }

    /// The addresses of an interface.
    ///
    /// # Errors
    /// [`NetlinkError`], source RTM_GETADDR of rtnetlink(7).
    pub fn addresses(&self, link: &Link) -> Result<Vec<InterfaceAddress>, NetlinkError> {
        let index = u32::try_from(link.index).ok();
        let all = self.interface_addresses()?.into_iter();
        let own = all.filter(|(at, _)| Some(*at) == index);
        Ok(own.map(|(_, address)| address).collect())
    }

    /// The addresses of all interfaces, with the indexes of these.
    ///
    /// # Errors
    /// [`NetlinkError`], source RTM_GETADDR of rtnetlink(7).
    pub fn interface_addresses(&self) -> Result<Vec<(u32, InterfaceAddress)>, NetlinkError> {
        let attempt = "list the addresses of the network interfaces";
        let message = IfaddrmsgBuilder::default()
            .ifa_family(RtAddrFamily::Unspecified)
            .ifa_prefixlen(0)
            .ifa_scope(RtScope::Universe)
            .ifa_index(0)
            .rtattrs(attributes([]))
            .build()
            .map_err(|error| encoding(attempt, &error))?;
        let bodies = self.query(attempt, Rtm::Getaddr, NlmF::DUMP, message)?;
        let mut found = Vec::new();
        for body in bodies {
            let message = Ifaddrmsg::from_bytes_with_input(
                &mut Cursor::new(body.as_ref()),
                body.as_ref().len(),
            )
            .map_err(|error| encoding(attempt, &error))?;
            let index = *message.ifa_index();
            found.extend(parse(&message).map(|address| (index, address)));
        }
        Ok(found)
    }
}

fn message(
    attempt: &str,
    link: &Link,
    address: InterfaceAddress,
) -> Result<Ifaddrmsg, NetlinkError> {
    let bytes = bytes_of(address.address);
    let mut list = vec![
        attribute(attempt, Ifa::Local, &bytes)?,
        attribute(attempt, Ifa::Address, &bytes)?,
    ];
    match address.address {
        IpAddr::V4(v4) if address.prefix < 31 => {
            let host_bits = u32::MAX.checked_shr(u32::from(address.prefix)).unwrap_or(0);
            let broadcast = Ipv4Addr::from(u32::from(v4) | host_bits);
            list.push(attribute(attempt, Ifa::Broadcast, &broadcast.octets())?);
        }
        IpAddr::V4(_) => {}
        // Addresses here are ours by construction: nothing is gained by a second without them.
        IpAddr::V6(_) => list.push(attribute(
            attempt,
            Ifa::from(IFA_FLAGS),
            &NO_DUPLICATE_DETECTION.to_ne_bytes(),
        )?),
    }
    IfaddrmsgBuilder::default()
        .ifa_family(family_of(address.address))
        .ifa_prefixlen(address.prefix)
        .ifa_scope(RtScope::Universe)
        .ifa_index(u32::try_from(link.index).map_err(|error| encoding(attempt, &error))?)
        .rtattrs(attributes(list))
        .build()
        .map_err(|error| encoding(attempt, &error))
}

fn parse(message: &Ifaddrmsg) -> Option<InterfaceAddress> {
    let handle = message.rtattrs().get_attr_handle();
    let found = handle
        .get_attribute(Ifa::Local)
        .or_else(|| handle.get_attribute(Ifa::Address))?;
    Some(InterfaceAddress {
        address: address_from(found.rta_payload())?,
        prefix: *message.ifa_prefixlen(),
    })
}

pub(super) fn address_from(payload: &Buffer) -> Option<IpAddr> {
    let bytes = payload.as_ref();
    if let Ok(v4) = <[u8; 4]>::try_from(bytes) {
        return Some(IpAddr::V4(Ipv4Addr::from(v4)));
    }
    <[u8; 16]>::try_from(bytes)
        .ok()
        .map(|v6| IpAddr::V6(Ipv6Addr::from(v6)))
}

/// The bytes of an address in network order.
pub(super) fn bytes_of(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(v4) => v4.octets().to_vec(),
        IpAddr::V6(v6) => v6.octets().to_vec(),
    }
}

/// AF_INET or AF_INET6.
pub(super) fn family_of(address: IpAddr) -> RtAddrFamily {
    match address {
        IpAddr::V4(_) => RtAddrFamily::Inet,
        IpAddr::V6(_) => RtAddrFamily::Inet6,
    }
}
