//! A client and a service that do as little as possible themselves.

use std::{
    io::{Read, Write},
    os::unix::net::UnixStream,
    path::Path,
};

use softwarecontainer_dbus_proxy::wire::{Endian, Header, NewMessage, Parsed, parse};

const INTERFACE: &str = "org.example.Bench";

/// A connection that has said Hello.
pub struct Client {
    stream: UnixStream,
    data: Vec<u8>,
    buffer: Vec<u8>,
    pub name: String,
}

impl Client {
    pub fn connect(path: &Path) -> Self {
        let mut stream = UnixStream::connect(path).unwrap();
        // The only user a bus lets root be.
        stream.write_all(b"\0AUTH EXTERNAL 30\r\n").unwrap();
        let mut answer = [0; 37];
        stream.read_exact(&mut answer).unwrap();
        assert!(answer.starts_with(b"OK "));
        stream.write_all(b"BEGIN\r\n").unwrap();
        let mut client = Self {
            stream,
            data: Vec::new(),
            buffer: vec![0; 256 * 1024],
            name: String::new(),
        };
        let driver = "org.freedesktop.DBus";
        let names = [
            (1, b'o', "/"),
            (2, b's', driver),
            (3, b's', "Hello"),
            (6, b's', driver),
        ];
        client.send(&message(1, 0, 1, &names, None, None));
        let name = client.next(|header, body| {
            assert_eq!(header.reply_serial.map(std::num::NonZeroU32::get), Some(1));
            String::from_utf8(body[4..body.len() - 1].to_vec()).unwrap()
        });
        let name = name.expect("the bus closed the connection");
        client.name = name;
        client
    }

    pub fn call(&self, service: &str, member: &str, size: usize, reply: bool) -> Vec<u8> {
        let names = [
            (1, b'o', "/bench"),
            (2, b's', INTERFACE),
            (3, b's', member),
            (6, b's', service),
        ];
        message(
            1,
            u8::from(!reply),
            7,
            &names,
            None,
            Some(&"x".repeat(size)),
        )
    }

    pub fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).unwrap();
    }

    pub fn round_trip(&mut self, call: &[u8]) {
        self.send(call);
        while !self
            .next(|header, _| header.reply_serial.is_some())
            .expect("closed")
        {}
    }

    /// Waits for a message and shows it; none when the bus has gone.
    fn next<T>(&mut self, look: impl FnOnce(&Header<'_>, &[u8]) -> T) -> Option<T> {
        loop {
            if let Parsed::Header(header) = parse(&self.data).unwrap() {
                let length = header.length + header.body;
                if self.data.len() >= length {
                    let result = look(&header, &self.data[header.length..length]);
                    self.data.drain(..length);
                    return Some(result);
                }
            }
            let count = self.stream.read(&mut self.buffer).unwrap_or(0);
            if count == 0 {
                return None;
            }
            self.data.extend_from_slice(&self.buffer[..count]);
        }
    }

    /// Answers calls of Echo until the bus ends, and takes others in silence.
    pub fn serve(mut self) {
        loop {
            let Some(reply) = self.next(|header, body| {
                let caller = header.sender?;
                let text = std::str::from_utf8(body.get(4..body.len() - 1)?).ok()?;
                (header.member == Some("Echo")).then(|| {
                    message(
                        2,
                        1,
                        9,
                        &[(6, b's', caller)],
                        Some(header.serial.get()),
                        Some(text),
                    )
                })
            }) else {
                return;
            };
            if let Some(reply) = reply {
                self.send(&reply);
            }
        }
    }
}

fn message(
    kind: u8,
    flags: u8,
    serial: u32,
    names: &[(u8, u8, &str)],
    reply_serial: Option<u32>,
    text: Option<&str>,
) -> Vec<u8> {
    NewMessage {
        kind,
        flags,
        serial,
        names,
        reply_serial,
        unix_fds: None,
        text,
    }
    .bytes(Endian::Little)
}
