//! Messages of PipeWire's native protocol, version 3: a header of four words, which are the object,
//! method or event and length, a number, and the count of descriptors; then a struct.

use std::{
    io::{self, IoSlice, Read as _},
    mem::MaybeUninit,
    os::{
        fd::{AsFd as _, BorrowedFd, OwnedFd},
        unix::net::UnixStream,
    },
    time::Instant,
};

use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};

use super::pod::Fields;

const HEADER: usize = 16;
/// Descriptors with one message.
const DESCRIPTORS: usize = 2;
/// What a server that is in order never sends, as only what is registered is asked for.
const LONGEST: usize = 1 << 20;
/// The length's part of the second word; the rest is the method's or event's.
const LENGTH: u32 = 0xff_ffff;

/// An event of the server.
#[derive(Debug)]
pub(super) struct Event {
    /// The object that it is about, as the client counts them.
    pub(super) object: u32,
    /// Its number among the object's events.
    pub(super) opcode: u32,
    /// The struct.
    pub(super) body: Vec<u8>,
}

#[derive(Debug)]
pub(super) struct Connection {
    socket: UnixStream,
    sent: u32,
    deadline: Instant,
}

impl Connection {
    /// Over a connected socket; nothing is waited for after the deadline.
    pub(super) fn over(socket: OwnedFd, deadline: Instant) -> io::Result<Self> {
        let socket = UnixStream::from(socket);
        socket.set_nonblocking(false)?;
        Ok(Self {
            socket,
            sent: 0,
            deadline,
        })
    }

    /// Calls a method of an object.
    pub(super) fn call(&mut self, object: u32, opcode: u32, fields: Fields) -> io::Result<()> {
        self.call_with(object, opcode, fields, &[])
    }

    /// [`Self::call`], with descriptors.
    pub(super) fn call_with(
        &mut self,
        object: u32,
        opcode: u32,
        fields: Fields,
        descriptors: &[BorrowedFd<'_>],
    ) -> io::Result<()> {
        let body = fields.finish();
        let length = u32::try_from(body.len()).map_err(io::Error::other)?;
        let count = u32::try_from(descriptors.len()).map_err(io::Error::other)?;
        let mut message = Vec::with_capacity(HEADER + body.len());
        for word in [object, opcode << 24 | length, self.sent, count] {
            message.extend(word.to_ne_bytes());
        }
        message.extend(body);
        self.sent += 1;
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS))];
        let mut ancillary = SendAncillaryBuffer::new(&mut space);
        if !descriptors.is_empty() {
            ancillary.push(SendAncillaryMessage::ScmRights(descriptors));
        }
        self.socket.set_write_timeout(Some(self.left()?))?;
        let parts = [IoSlice::new(&message)];
        let sent = sendmsg(
            self.socket.as_fd(),
            &parts,
            &mut ancillary,
            SendFlags::NOSIGNAL,
        )?;
        if sent == message.len() {
            Ok(())
        } else {
            Err(io::ErrorKind::WriteZero.into())
        }
    }

    /// The next event.
    pub(super) fn event(&mut self) -> io::Result<Event> {
        let mut header = [0; HEADER];
        self.read(&mut header)?;
        let word = |at: usize| {
            let bytes = header.get(at..at + 4).and_then(|it| it.try_into().ok());
            u32::from_ne_bytes(bytes.unwrap_or_default())
        };
        let length = usize::try_from(word(4) & LENGTH).map_err(io::Error::other)?;
        if length > LONGEST {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let mut body = vec![0; length];
        self.read(&mut body)?;
        Ok(Event {
            object: word(0),
            opcode: word(4) >> 24,
            body,
        })
    }

    fn read(&mut self, mut bytes: &mut [u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            self.socket.set_read_timeout(Some(self.left()?))?;
            match self.socket.read(bytes) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(length) => bytes = bytes.get_mut(length..).unwrap_or_default(),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn left(&self) -> io::Result<std::time::Duration> {
        let left = self.deadline.checked_duration_since(Instant::now());
        left.filter(|left| !left.is_zero())
            .ok_or_else(|| io::ErrorKind::TimedOut.into())
    }
}
