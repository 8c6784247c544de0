//! Deleting interfaces. The kernel acknowledges that only when it has freed the interface, which
//! takes a hundred times as long as it takes until nobody sees it any more.

use std::{
    fmt,
    io::{self, Cursor},
    os::fd::{AsRawFd as _, OwnedFd},
    thread,
    time::Duration,
};

use neli::{
    ToBytes as _,
    consts::{nl::NlmF, rtnl::Rtm},
};
use nix::{
    poll::PollFlags,
    sys::socket::{MsgFlags, send},
};

use super::{
    Netlink, NetlinkError, encoding,
    link::{Link, link_message},
    link_events::LinkEvents,
};
use crate::{left_behind, wait};

/// How long the kernel may take to delete an interface.
const ANSWER_LIMIT: Duration = Duration::from_secs(10);

/// An interface that is being deleted.
#[derive(Debug)]
#[must_use]
pub struct Deletion {
    attempt: String,
    index: i32,
    events: LinkEvents,
    /// The socket that gets the answer to the request with this number.
    answer: (Netlink, u32),
}

impl Netlink {
    /// Deletes an interface, and with it the other end of a veth pair. Returns when nobody sees it
    /// any more.
    ///
    /// # Errors
    /// [`NetlinkError`], source RTM_DELLINK of rtnetlink(7).
    pub fn delete_link(&self, link: &Link) -> Result<(), NetlinkError> {
        begin(link, send_in_thread)?.wait()
    }

    /// Begins to delete an interface, in such a way that the end of this process does not wait for
    /// it to be freed.
    ///
    /// # Errors
    /// As for [`Netlink::delete_link`].
    pub fn begin_last_deletion(&self, link: &Link) -> Result<Deletion, NetlinkError> {
        begin(link, |socket, message| {
            left_behind::send_in_process(&socket, message)
                .or_else(|_| send_in_thread(socket, message))
        })
    }
}

fn begin(
    link: &Link,
    send: impl FnOnce(OwnedFd, &[u8]) -> io::Result<()>,
) -> Result<Deletion, NetlinkError> {
    let attempt = format!("delete network interface {}", link.name);
    let payload = link_message(&attempt, link.index, None, [])?;
    let events = LinkEvents::listen()?;
    let netlink = Netlink::open()?;
    let message = netlink.message(&attempt, Rtm::Dellink, NlmF::ACK, payload)?;
    let sequence = *message.nl_seq();
    let mut bytes = Cursor::new(Vec::new());
    let broken = |error: &dyn fmt::Display| encoding(&attempt, error);
    message
        .to_bytes(&mut bytes)
        .map_err(|error| broken(&error))?;
    let socket = netlink.as_fd().try_clone_to_owned();
    let socket = socket.map_err(|error| broken(&error))?;
    send(socket, &bytes.into_inner()).map_err(|error| broken(&error))?;
    Ok(Deletion {
        attempt,
        index: link.index,
        events,
        answer: (netlink, sequence),
    })
}

/// The call returns when the interface is freed, so it is made in a thread of its own. What it
/// returns also comes as the answer.
fn send_in_thread(socket: OwnedFd, message: &[u8]) -> io::Result<()> {
    let message = message.to_vec();
    let work = move || {
        let _ = send(socket.as_raw_fd(), &message, MsgFlags::empty());
    };
    let thread = thread::Builder::new().name("delete link".to_owned());
    thread.spawn(work).map(drop)
}

impl Deletion {
    /// Returns when nobody sees the interface any more.
    ///
    /// # Errors
    /// As for [`Netlink::delete_link`].
    pub fn wait(self) -> Result<(), NetlinkError> {
        let (netlink, sequence) = &self.answer;
        loop {
            let readable = |fd| (fd, PollFlags::POLLIN);
            let waited = wait::any_ready(
                [readable(self.events.as_fd()), readable(netlink.as_fd())],
                ANSWER_LIMIT,
            );
            match waited.map_err(|error| encoding(&self.attempt, &error))? {
                [_, true] => return netlink.answers(&self.attempt, *sequence).map(drop),
                [true, _] if self.events.tells_end_of(self.index) => return Ok(()),
                [true, _] => {}
                [false, false] => {
                    return Err(encoding(&self.attempt, &"the kernel does not answer"));
                }
            }
        }
    }
}
