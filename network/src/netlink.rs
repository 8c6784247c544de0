//! Talks rtnetlink(7): one synchronous socket, requests that are acknowledged, errors that say what
//! was attempted.
//!
//! A socket belongs to the network namespace in which it was opened, and stays there
//! (see [`crate::namespace::inside`] for how to open one in a container).

mod address;
mod deletion;
mod disciplines;
mod ingress_filter;
mod link;
mod link_events;
mod new_link;
mod port;
mod route;
mod token_bucket;
mod traffic_control;

use std::{
    cell::Cell,
    fmt, io,
    os::fd::{AsRawFd as _, BorrowedFd},
};

use neli::{
    Size, ToBytes,
    consts::{
        nl::{NlmF, Nlmsg},
        rtnl::{RtaType, Rtm},
        socket::NlFamily,
    },
    nl::{NlPayload, Nlmsghdr, NlmsghdrBuilder},
    rtnl::{Rtattr, RtattrBuilder},
    socket::synchronous::NlSocketHandle,
    types::{Buffer, RtBuffer},
    utils::Groups,
};

pub use address::InterfaceAddress;
pub use deletion::Deletion;
pub use ingress_filter::Instruction;
pub use link::{Link, MacAddress};
pub use port::PortFlags;

/// What went wrong between us and rtnetlink(7).
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NetlinkError {
    /// No netlink socket could be opened.
    #[error("cannot open a netlink socket")]
    Open(#[source] io::Error),
    /// The kernel refused a request.
    #[error("cannot {attempt}")]
    Refused {
        /// What was attempted on what, as an infinitive: "add address 10.0.3.1/24 to lxcbr0".
        attempt: String,
        /// Why, as the kernel says.
        source: io::Error,
    },
    /// A request could not be sent, or its answer not be read.
    #[error("cannot {attempt}: {reason}")]
    Exchange {
        /// What was attempted on what.
        attempt: String,
        /// What the netlink library says.
        reason: String,
    },
    /// There is no interface of that name in this network namespace.
    #[error("there is no network interface {0}")]
    NoSuchLink(String),
}

impl NetlinkError {
    /// The error number, if the kernel gave one.
    #[must_use]
    pub fn errno(&self) -> Option<i32> {
        match self {
            Self::Open(source) | Self::Refused { source, .. } => source.raw_os_error(),
            Self::Exchange { .. } => None,
            Self::NoSuchLink(_) => Some(libc::ENODEV),
        }
    }
}

/// A NETLINK_ROUTE socket of the network namespace in which it was opened.
pub struct Netlink {
    socket: NlSocketHandle,
    sequence: Cell<u32>,
}

impl fmt::Debug for Netlink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Netlink").finish_non_exhaustive()
    }
}

impl Netlink {
    /// Opens a socket in the calling thread's network namespace.
    ///
    /// # Errors
    /// [`NetlinkError::Open`], source socket(2) or bind(2).
    pub fn open() -> Result<Self, NetlinkError> {
        let socket = NlSocketHandle::connect(NlFamily::Route, None, Groups::empty())
            .map_err(|error| NetlinkError::Open(io::Error::other(error.to_string())))?;
        Ok(Self {
            socket,
            sequence: Cell::new(1),
        })
    }

    /// Sends a request that changes something and waits for its acknowledgement.
    fn request<P>(
        &self,
        attempt: &str,
        kind: Rtm,
        flags: NlmF,
        payload: P,
    ) -> Result<(), NetlinkError>
    where
        P: Size + ToBytes + fmt::Debug,
    {
        self.query(attempt, kind, flags | NlmF::ACK, payload)
            .map(drop)
    }

    /// Sends a request and returns the bodies of the answers.
    fn query<P>(
        &self,
        attempt: &str,
        kind: Rtm,
        flags: NlmF,
        payload: P,
    ) -> Result<Vec<Buffer>, NetlinkError>
    where
        P: Size + ToBytes + fmt::Debug,
    {
        let message = self.message(attempt, kind, flags, payload)?;
        self.socket
            .send(&message)
            .map_err(|error| encoding(attempt, &error))?;
        self.answers(attempt, *message.nl_seq())
    }

    /// A request, with a number that no other of this socket has.
    fn message<P>(
        &self,
        attempt: &str,
        kind: Rtm,
        flags: NlmF,
        payload: P,
    ) -> Result<Nlmsghdr<Rtm, P>, NetlinkError>
    where
        P: Size,
    {
        let sequence = self.sequence.get();
        self.sequence.set(sequence.wrapping_add(1));
        NlmsghdrBuilder::default()
            .nl_type(kind)
            .nl_flags(NlmF::REQUEST | flags)
            .nl_seq(sequence)
            .nl_payload(NlPayload::Payload(payload))
            .build()
            .map_err(|error| encoding(attempt, &error))
    }

    /// Waits for the answers to the request with the number `sequence`, and returns their bodies.
    fn answers(&self, attempt: &str, sequence: u32) -> Result<Vec<Buffer>, NetlinkError> {
        let mut bodies = Vec::new();
        loop {
            let (messages, _groups) = self
                .socket
                .recv::<u16, Buffer>()
                .map_err(|error| encoding(attempt, &error))?;
            for answer in messages {
                let answer = answer.map_err(|error| encoding(attempt, &error))?;
                if *answer.nl_seq() != sequence {
                    continue;
                }
                match Answer::of(answer) {
                    Answer::Part(body) => bodies.push(body),
                    Answer::Only(body) => {
                        bodies.push(body);
                        return Ok(bodies);
                    }
                    Answer::End => return Ok(bodies),
                    Answer::Error(errno) => {
                        return Err(NetlinkError::Refused {
                            attempt: attempt.to_owned(),
                            source: io::Error::from_raw_os_error(errno),
                        });
                    }
                }
            }
        }
    }

    /// To wait for answers with poll(2).
    fn as_fd(&self) -> BorrowedFd<'_> {
        // SAFETY: the descriptor is open as long as the socket, which outlives the result.
        unsafe { BorrowedFd::borrow_raw(self.socket.as_raw_fd()) }
    }
}

/// One message from the kernel.
enum Answer {
    /// One of several.
    Part(Buffer),
    /// The answer to a query for one object.
    Only(Buffer),
    /// Acknowledgement, or the end of several parts.
    End,
    /// A positive errno.
    Error(i32),
}

impl Answer {
    fn of(message: Nlmsghdr<u16, Buffer>) -> Self {
        let several = message.nl_flags().contains(NlmF::MULTI);
        let done = *message.nl_type() == u16::from(Nlmsg::Done);
        match message.nl_payload() {
            NlPayload::Err(error) => Self::Error(-*error.error()),
            NlPayload::Ack(_) | NlPayload::DumpExtAck(_) | NlPayload::Empty => Self::End,
            NlPayload::Payload(_) if done => Self::End,
            NlPayload::Payload(body) if several => Self::Part(Buffer::from(body.as_ref())),
            NlPayload::Payload(body) => Self::Only(Buffer::from(body.as_ref())),
        }
    }
}

/// An attribute with a plain payload.
fn attribute<T>(attempt: &str, kind: T, payload: &[u8]) -> Result<Rtattr<T, Buffer>, NetlinkError>
where
    T: RtaType,
{
    RtattrBuilder::default()
        .rta_type(kind)
        .rta_payload(Buffer::from(payload))
        .build()
        .map_err(|error| encoding(attempt, &error))
}

/// The attributes of a message, in the type that the message wants.
fn attributes<T>(list: impl IntoIterator<Item = Rtattr<T, Buffer>>) -> RtBuffer<T, Buffer> {
    list.into_iter().collect()
}

fn encoding(attempt: &str, error: &dyn fmt::Display) -> NetlinkError {
    NetlinkError::Exchange {
        attempt: attempt.to_owned(),
        reason: error.to_string(),
    }
}

/// A name as the kernel wants it in an attribute: with its terminating NUL.
fn c_string(name: &str) -> Vec<u8> {
    let mut bytes = name.as_bytes().to_vec();
    bytes.push(0);
    bytes
}
