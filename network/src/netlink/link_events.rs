//! Events of network interfaces, as the kernel multicasts them.

use std::{
    fmt,
    io::{self, Cursor},
    os::fd::{AsRawFd as _, BorrowedFd},
};

use neli::{
    FromBytesWithInput,
    consts::{
        rtnl::{RtAddrFamily, Rtm},
        socket::NlFamily,
    },
    rtnl::Ifinfomsg,
    socket::synchronous::NlSocketHandle,
    types::Buffer,
    utils::Groups,
};

use super::NetlinkError;

/// Events of the interfaces in the network namespace in which it was opened, from then on.
pub struct LinkEvents(NlSocketHandle);

impl fmt::Debug for LinkEvents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LinkEvents").finish_non_exhaustive()
    }
}

impl LinkEvents {
    /// Subscribes to RTNLGRP_LINK.
    ///
    /// # Errors
    /// [`NetlinkError::Open`].
    pub fn listen() -> Result<Self, NetlinkError> {
        let groups = Groups::new_groups(&[libc::RTNLGRP_LINK]);
        NlSocketHandle::connect(NlFamily::Route, None, groups)
            .map(Self)
            .map_err(|error| NetlinkError::Open(io::Error::other(error.to_string())))
    }

    /// To wait for with poll(2).
    pub fn as_fd(&self) -> BorrowedFd<'_> {
        // SAFETY: the descriptor is open as long as the socket, which outlives the result.
        unsafe { BorrowedFd::borrow_raw(self.0.as_raw_fd()) }
    }

    /// Reads what there is, or waits for it: whether one of them is that interface `index` is gone.
    /// What cannot be read is as if it had not come.
    pub fn tells_end_of(&self, index: i32) -> bool {
        let Ok((messages, _groups)) = self.0.recv::<u16, Buffer>() else {
            return false;
        };
        messages.flatten().any(|message| {
            *message.nl_type() == u16::from(Rtm::Dellink)
                && message.get_payload().is_some_and(|body| {
                    let body = body.as_ref();
                    Ifinfomsg::from_bytes_with_input(&mut Cursor::new(body), body.len())
                        // A bridge also says so, about a port that leaves it.
                        .is_ok_and(|link| {
                            *link.ifi_family() == RtAddrFamily::Unspecified
                                && *link.ifi_index() == index
                        })
                })
        })
    }
}
