//! Tells of changes of the host's network, as the kernel multicasts them (netlink(7)): nothing asks
//! again and again, and without changes nothing wakes up.

mod changes;
mod interest;
mod message;

use std::{
    io,
    os::fd::{AsRawFd as _, OwnedFd},
};

use nix::{
    errno::Errno,
    sys::socket::{
        AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, bind, recv, socket,
    },
};
use smol::Async;

use crate::netlink::{Netlink, NetlinkError};
pub use changes::Changes;
pub(crate) use changes::Controls;
use interest::Interest;

/// Groups of rtnetlink(7) by their numbers: RTNLGRP_LINK, RTNLGRP_TC, RTNLGRP_IPV4_IFADDR,
/// RTNLGRP_IPV4_ROUTE, RTNLGRP_IPV6_IFADDR, RTNLGRP_IPV6_ROUTE, RTNLGRP_IPV4_NETCONF,
/// RTNLGRP_IPV6_NETCONF of linux/rtnetlink.h.
const ROUTE_GROUPS: [u32; 8] = [1, 4, 5, 7, 9, 11, 24, 25];
/// NFNLGRP_NFTABLES of linux/netfilter/nfnetlink.h: each change of rules, by nft(8) and by today's
/// iptables(8).
const RULES_GROUPS: [u32; 1] = [7];
/// Bytes that are read at once; what is longer is an event nevertheless.
const LONGEST_MESSAGE: usize = 16 << 10;

/// Why the host's network cannot be watched.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WatchError {
    /// socket(2), bind(2) or recv(2) failed.
    #[error("cannot listen to the kernel's messages about the network")]
    Listen(#[source] io::Error),
    /// The interfaces that are there now cannot be listed.
    #[error(transparent)]
    Netlink(#[from] NetlinkError),
}

/// Listens in the network namespace in which it was made.
#[derive(Debug)]
pub(crate) struct Watch {
    route: Async<OwnedFd>,
    /// `None` where the kernel has no nf_tables: nothing tells of changes of rules there.
    rules: Option<Async<OwnedFd>>,
    interest: Interest,
    buffer: Vec<u8>,
}

impl Watch {
    /// Listens from now on; `device` is the bridge.
    ///
    /// # Errors
    /// [`WatchError`].
    pub(crate) fn new(device: &str) -> Result<Self, WatchError> {
        let route = listen(SockProtocol::NetlinkRoute, &ROUTE_GROUPS);
        let route = route.and_then(Async::new_nonblocking);
        let rules = listen(SockProtocol::NetlinkNetFilter, &RULES_GROUPS);
        let rules = rules.and_then(Async::new_nonblocking).ok();
        // After listening began, so that none is missed.
        let mut interest = Interest::new(device);
        let netlink = Netlink::open()?;
        for link in netlink.links()? {
            interest.knows_link(link.index, &link.name);
        }
        for (index, one) in netlink.interface_addresses()? {
            interest.knows_address(index, one.address);
        }
        Ok(Self {
            route: route.map_err(WatchError::Listen)?,
            rules,
            interest,
            buffer: vec![0; LONGEST_MESSAGE],
        })
    }

    /// Returns when something of interest has changed.
    ///
    /// # Errors
    /// [`WatchError::Listen`].
    pub(crate) async fn changed(&mut self) -> Result<Changes, WatchError> {
        loop {
            let rules = async {
                match &self.rules {
                    Some(rules) => rules.readable().await,
                    None => std::future::pending().await,
                }
            };
            let readable = smol::future::or(self.route.readable(), rules).await;
            readable.map_err(WatchError::Listen)?;
            let changes = self.drain()?;
            if changes.any() {
                return Ok(changes);
            }
        }
    }

    /// What has changed up to now, without waiting.
    ///
    /// # Errors
    /// [`WatchError::Listen`].
    pub(crate) fn drain(&mut self) -> Result<Changes, WatchError> {
        let mut changes = Changes::default();
        while let Some(read) = receive(&self.route, &mut self.buffer)? {
            changes |= match read {
                Read::Datagram(length) => {
                    let datagram = self.buffer.get(..length).unwrap_or_default();
                    self.interest.of(datagram)
                }
                Read::Lost => Changes::ANYTHING,
            };
        }
        if let Some(rules) = &self.rules {
            while receive(rules, &mut self.buffer)?.is_some() {
                changes.ours = true;
            }
        }
        Ok(changes)
    }
}

/// What came of reading.
enum Read {
    /// One message or several, with their length in bytes.
    Datagram(usize),
    /// The kernel had more to tell than the socket holds.
    Lost,
}

/// `None`: nothing more for now.
fn receive(socket: &Async<OwnedFd>, buffer: &mut [u8]) -> Result<Option<Read>, WatchError> {
    loop {
        match recv(socket.get_ref().as_raw_fd(), buffer, MsgFlags::MSG_DONTWAIT) {
            Ok(length) => return Ok(Some(Read::Datagram(length))),
            Err(Errno::ENOBUFS) => return Ok(Some(Read::Lost)),
            Err(Errno::EAGAIN) => return Ok(None),
            Err(Errno::EINTR) => {}
            Err(errno) => return Err(WatchError::Listen(errno.into())),
        }
    }
}

fn listen(protocol: SockProtocol, groups: &[u32]) -> io::Result<OwnedFd> {
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let socket = socket(AddressFamily::Netlink, SockType::Raw, flags, protocol)?;
    let mask = groups.iter().fold(0, |mask, group| mask | 1 << (group - 1));
    bind(socket.as_raw_fd(), &NetlinkAddr::new(0, mask))?;
    Ok(socket)
}
