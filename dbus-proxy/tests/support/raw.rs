//! A client that sends bytes.

use std::{
    io::{ErrorKind, Read, Write},
    os::{
        fd::{AsFd, OwnedFd},
        unix::net::UnixStream,
    },
    path::Path,
};

use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags};
use softwarecontainer_dbus_proxy::wire::{self, Endian, Header, NewMessage, Parsed};

/// A connection and the bytes that came over it and are not yet used.
pub struct Raw {
    pub stream: UnixStream,
    data: Vec<u8>,
    pub name: String,
}

/// What the tests look at in a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    pub kind: wire::Kind,
    pub serial: u32,
    pub reply_serial: Option<u32>,
    pub error: Option<String>,
    pub sender: Option<String>,
    pub member: Option<String>,
    pub unix_fds: usize,
    pub body: Vec<u8>,
}

impl Raw {
    /// Connects without a word.
    pub fn connect(path: &Path) -> Self {
        Self::of(UnixStream::connect(path).unwrap())
    }

    /// On an open connection.
    pub fn of(stream: UnixStream) -> Self {
        stream.set_read_timeout(Some(super::patience())).unwrap();
        stream.set_write_timeout(Some(super::patience())).unwrap();
        Self {
            stream,
            data: Vec::new(),
            name: String::new(),
        }
    }

    /// Connects, authenticates and says Hello.
    pub fn hello(path: &Path) -> Self {
        let mut raw = Self::connect(path);
        raw.send(b"\0AUTH EXTERNAL 30\r\nNEGOTIATE_UNIX_FD\r\nBEGIN\r\n");
        raw.read_lines(2);
        raw.send(&driver_call(1, "Hello", None));
        let reply = raw.message().unwrap();
        assert_eq!(reply.reply_serial, Some(1), "{reply:?}");
        raw.name = String::from_utf8(reply.body[4..reply.body.len() - 1].to_vec()).unwrap();
        raw
    }

    pub fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).unwrap();
    }

    pub fn read_lines(&mut self, count: usize) {
        while self.data.iter().filter(|&&byte| byte == b'\n').count() < count {
            assert!(self.read(), "closed during authentication");
        }
        for _ in 0..count {
            let end = self.data.iter().position(|&byte| byte == b'\n').unwrap();
            self.data.drain(..=end);
        }
    }

    fn read(&mut self) -> bool {
        let mut buffer = vec![0; 65536];
        match self.stream.read(&mut buffer) {
            Ok(0) => false,
            Ok(count) => {
                self.data.extend_from_slice(&buffer[..count]);
                true
            }
            Err(error) if error.kind() == ErrorKind::ConnectionReset => false,
            Err(error) => panic!("nothing to read: {error}"),
        }
    }

    /// The next message; none at the end of the stream.
    pub fn message(&mut self) -> Option<Message> {
        loop {
            if let Parsed::Header(header) = wire::parse(&self.data).unwrap() {
                let length = header.length + header.body;
                if self.data.len() >= length {
                    let message = message(&header, &self.data[header.length..length]);
                    self.data.drain(..length);
                    return Some(message);
                }
            }
            if !self.read() {
                return None;
            }
        }
    }

    /// The reply to a call, after whatever else comes.
    pub fn reply_to(&mut self, serial: u32) -> Message {
        loop {
            let message = self.message().expect("closed instead of a reply");
            if message.reply_serial == Some(serial) {
                return message;
            }
        }
    }

    /// The message with a serial, after whatever else comes.
    pub fn message_of_serial(&mut self, serial: u32) -> Message {
        loop {
            let message = self.message().expect("closed instead of a message");
            if message.serial == serial {
                return message;
            }
        }
    }

    /// Whether the other side closes, after whatever else comes.
    pub fn is_closed(&mut self) -> bool {
        while self.read() {}
        true
    }

    /// Whether it is answered rather than closed.
    pub fn has_answer(&mut self) -> bool {
        self.read()
    }

    /// Makes sure that everything sent before has been handled, and returns what came meanwhile.
    pub fn settle(&mut self, serial: u32) -> Vec<Message> {
        self.send(&driver_call(serial, "GetId", None));
        let mut others = Vec::new();
        loop {
            let message = self.message().expect("closed");
            if message.reply_serial == Some(serial) {
                return others;
            }
            others.push(message);
        }
    }
}

fn message(header: &Header<'_>, body: &[u8]) -> Message {
    let owned = |text: Option<&str>| text.map(str::to_owned);
    Message {
        kind: header.kind,
        serial: header.serial.get(),
        reply_serial: header.reply_serial.map(std::num::NonZeroU32::get),
        error: owned(header.error_name),
        sender: owned(header.sender),
        member: owned(header.member),
        unix_fds: header.unix_fds,
        body: body.to_vec(),
    }
}

/// A call to the bus.
pub fn driver_call(serial: u32, member: &str, text: Option<&str>) -> Vec<u8> {
    let driver = "org.freedesktop.DBus";
    call(
        serial,
        driver,
        Some(driver),
        "/org/freedesktop/DBus",
        member,
        text,
    )
}

/// A call of RequestName, which has a second argument, flags, which a bus insists on.
pub fn request_name(serial: u32, name: &str) -> Vec<u8> {
    let mut message = driver_call(serial, "RequestName", None);
    let fields = u32::try_from(message.len() - 16 + 8).unwrap();
    message[12..16].copy_from_slice(&fields.to_le_bytes());
    message.extend([8, 1, b'g', 0, 2, b's', b'u', 0]);
    let mut body = u32::try_from(name.len()).unwrap().to_le_bytes().to_vec();
    body.extend(name.as_bytes());
    body.resize((body.len() + 1).next_multiple_of(4) + 4, 0);
    message[4..8].copy_from_slice(&u32::try_from(body.len()).unwrap().to_le_bytes());
    message.extend(body);
    message
}

/// A call.
pub fn call(
    serial: u32,
    destination: &str,
    interface: Option<&str>,
    path: &str,
    member: &str,
    text: Option<&str>,
) -> Vec<u8> {
    let mut names = vec![(1, b'o', path), (3, b's', member), (6, b's', destination)];
    names.extend(interface.map(|interface| (2, b's', interface)));
    NewMessage {
        kind: 1,
        flags: 0,
        serial,
        names: &names,
        reply_serial: None,
        unix_fds: None,
        text,
    }
    .bytes(Endian::Little)
}

/// A reply.
pub fn reply(serial: u32, destination: &str, reply_serial: u32, text: Option<&str>) -> Vec<u8> {
    NewMessage {
        kind: 2,
        flags: 1,
        serial,
        names: &[(6, b's', destination)],
        reply_serial: Some(reply_serial),
        unix_fds: None,
        text,
    }
    .bytes(Endian::Little)
}

/// A signal.
pub fn signal(
    serial: u32,
    destination: Option<&str>,
    interface: &str,
    path: &str,
    member: &str,
) -> Vec<u8> {
    let mut names = vec![(1, b'o', path), (2, b's', interface), (3, b's', member)];
    names.extend(destination.map(|destination| (6, b's', destination)));
    NewMessage {
        kind: 4,
        flags: 1,
        serial,
        names: &names,
        reply_serial: None,
        unix_fds: None,
        text: Some("argument"),
    }
    .bytes(Endian::Little)
}

/// Sends bytes with many descriptors of one file.
pub fn send_fds(
    stream: &UnixStream,
    bytes: &[u8],
    file: &OwnedFd,
    count: usize,
) -> Result<usize, rustix::io::Errno> {
    let mut space = [std::mem::MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(253))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    let fds = vec![file.as_fd(); count];
    assert!(control.push(SendAncillaryMessage::ScmRights(&fds)));
    rustix::net::sendmsg(
        stream,
        &[std::io::IoSlice::new(bytes)],
        &mut control,
        SendFlags::NOSIGNAL,
    )
}
