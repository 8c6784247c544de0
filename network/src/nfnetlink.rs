//! Talks to netfilter in the kernel: one socket, messages that are acknowledged, and dumps.
//!
//! A socket belongs to the network namespace in which it was opened.

pub(crate) mod message;

use std::{
    cell::Cell,
    fmt, io,
    os::fd::{AsRawFd as _, BorrowedFd},
    thread,
};

use neli::{
    consts::socket::{Msg, NlFamily},
    socket::NlSocket,
    utils::Groups,
};
use nix::sys::socket::{
    setsockopt,
    sockopt::{RcvBufForce, SndBufForce},
};

use message::{ACK, Answer, Message, answers};

/// Most bytes of a dump that the kernel sends in one go (NLMSG_GOODSIZE and a page are less).
const RECEIVED: usize = 1 << 16;
/// Bytes that are sent in one go at most, so that all errors fit into the socket's buffer.
const SENT: usize = 1 << 15;

// linux/netfilter/nfnetlink.h
const NFNL_MSG_BATCH_BEGIN: u8 = 16;
const NFNL_MSG_BATCH_END: u8 = 17;

/// What went wrong between us and netfilter.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NfnetlinkError {
    /// socket(2) or bind(2) failed.
    #[error("cannot open a netlink socket for netfilter")]
    Open(#[source] io::Error),
    /// sendto(2) failed.
    #[error("cannot tell netfilter to {attempt}")]
    Send {
        /// What was attempted on what, as an infinitive.
        attempt: &'static str,
        /// Why.
        source: io::Error,
    },
    /// recvfrom(2) failed.
    #[error("cannot read whether netfilter could {attempt}")]
    Receive {
        /// What was attempted on what.
        attempt: &'static str,
        /// Why.
        source: io::Error,
    },
    /// The kernel refused.
    #[error("netfilter cannot {attempt}")]
    Refused {
        /// What was attempted on what.
        attempt: &'static str,
        /// Why, as the kernel says.
        source: io::Error,
    },
}

/// A NETLINK_NETFILTER socket.
pub(crate) struct Nfnetlink {
    socket: NlSocket,
    sequence: Cell<u32>,
}

impl fmt::Debug for Nfnetlink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Nfnetlink").finish_non_exhaustive()
    }
}

impl Nfnetlink {
    /// Opens a socket in the calling thread's network namespace.
    pub(crate) fn open() -> Result<Self, NfnetlinkError> {
        let socket = NlSocket::connect(NlFamily::Netfilter, None, Groups::empty())
            .map_err(NfnetlinkError::Open)?;
        Ok(Self {
            socket,
            sequence: Cell::new(1),
        })
    }

    /// Asks for information, with the flag [`ACK`] or [`DUMP`](message::DUMP); `each` is given what
    /// the kernel says, piece by piece.
    pub(crate) fn ask(
        &self,
        attempt: &'static str,
        question: &Message,
        mut each: impl FnMut(&[u8]),
    ) -> Result<(), NfnetlinkError> {
        let sequence = self.next();
        let mut bytes = Vec::new();
        question.append(sequence, &mut bytes);
        self.send(attempt, &bytes)?;
        self.receive(attempt, |of, answer| match answer {
            _ if of != sequence => Ok(false),
            Answer::Part(_, body) => {
                each(body);
                Ok(false)
            }
            Answer::Done | Answer::Error(0) => Ok(true),
            Answer::Error(errno) => Err(refused(attempt, errno)),
        })
    }

    /// Has single requests done, as many at once as fit. Those that fail with the errno `but` were
    /// done already.
    pub(crate) fn each(
        &self,
        attempt: &'static str,
        requests: &[Message],
        but: i32,
    ) -> Result<(), NfnetlinkError> {
        let mut rest = requests.iter().peekable();
        let mut result = Ok(());
        while rest.peek().is_some() {
            let mut bytes = Vec::new();
            let mut last = 0;
            while let Some(request) = rest.next() {
                last = self.next();
                let full = bytes.len() >= SENT || rest.peek().is_none();
                let mut request = request.clone();
                if full {
                    // Errors are told without being asked for, success is not.
                    request.flags |= ACK;
                }
                request.append(last, &mut bytes);
                if full {
                    break;
                }
            }
            self.send(attempt, &bytes)?;
            self.receive(attempt, |of, answer| {
                if let Answer::Error(errno) = answer
                    && errno != 0
                    && errno != but
                    && result.is_ok()
                {
                    result = Err(refused(attempt, errno));
                }
                Ok(of == last && matches!(answer, Answer::Error(_)))
            })?;
        }
        result
    }

    /// Has requests to one subsystem done in one step: all of them, or none.
    pub(crate) fn at_once(
        &self,
        attempt: &'static str,
        subsystem: u8,
        requests: &[Message],
    ) -> Result<(), NfnetlinkError> {
        let Some((last, others)) = requests.split_last() else {
            return Ok(());
        };
        let mut bytes = Vec::new();
        let begin = self.next();
        Message::batch(NFNL_MSG_BATCH_BEGIN, subsystem).append(begin, &mut bytes);
        for request in others {
            request.append(self.next(), &mut bytes);
        }
        let mut last = last.clone();
        last.flags |= ACK;
        let end = self.next();
        last.append(end, &mut bytes);
        Message::batch(NFNL_MSG_BATCH_END, subsystem).append(self.next(), &mut bytes);
        self.make_room(attempt, bytes.len())?;
        self.send(attempt, &bytes)?;
        // An error of any of them is an error of all, and the first is the reason. The others of an
        // earlier step may still be there to be read.
        let length = end.wrapping_sub(begin) + 1;
        self.receive(attempt, |of, answer| match answer {
            _ if of.wrapping_sub(begin) > length => Ok(false),
            Answer::Error(0) => Ok(of == end),
            Answer::Error(errno) => Err(refused(attempt, errno)),
            _ => Ok(false),
        })
    }

    /// Closes the socket in a thread: while the kernel has not freed yet what a change took away,
    /// closing waits for about ten milliseconds.
    pub(crate) fn close_aside(self) {
        let close = move || drop(self);
        if let Err(error) = thread::Builder::new()
            .name("nfnetlink".to_owned())
            .spawn(close)
        {
            // It was closed here then.
            log::debug!("cannot start a thread to close a socket: {error}");
        }
    }

    /// Lets so many bytes be sent in one go, and as many errors be received.
    fn make_room(&self, attempt: &'static str, bytes: usize) -> Result<(), NfnetlinkError> {
        if bytes <= SENT {
            return Ok(());
        }
        // The kernel counts its own overhead, too.
        let room = bytes.saturating_mul(2);
        // SAFETY: the descriptor is open as long as the socket, which outlives the result.
        let socket = unsafe { BorrowedFd::borrow_raw(self.socket.as_raw_fd()) };
        let resized = setsockopt(&socket, SndBufForce, &room)
            .and_then(|()| setsockopt(&socket, RcvBufForce, &room));
        resized.map_err(|errno| NfnetlinkError::Send {
            attempt,
            source: errno.into(),
        })
    }

    fn next(&self) -> u32 {
        let sequence = self.sequence.get();
        self.sequence.set(sequence.wrapping_add(1));
        sequence
    }

    fn send(&self, attempt: &'static str, bytes: &[u8]) -> Result<(), NfnetlinkError> {
        let sent = self.socket.send(bytes, Msg::empty());
        sent.map(drop)
            .map_err(|source| NfnetlinkError::Send { attempt, source })
    }

    /// Reads until `each`, which is given sequence numbers and answers, says that it is the end.
    fn receive(
        &self,
        attempt: &'static str,
        mut each: impl FnMut(u32, Answer<'_>) -> Result<bool, NfnetlinkError>,
    ) -> Result<(), NfnetlinkError> {
        let mut buffer = vec![0; RECEIVED];
        loop {
            let (length, _groups) = self
                .socket
                .recv(buffer.as_mut_slice(), Msg::empty())
                .map_err(|source| NfnetlinkError::Receive { attempt, source })?;
            for (sequence, answer) in answers(buffer.get(..length).unwrap_or_default()) {
                if each(sequence, answer)? {
                    return Ok(());
                }
            }
        }
    }
}

fn refused(attempt: &'static str, errno: i32) -> NfnetlinkError {
    NfnetlinkError::Refused {
        attempt,
        source: io::Error::from_raw_os_error(errno),
    }
}
