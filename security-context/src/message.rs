//! What agent and program say to each other: one message each way.

use std::{
    io::{self, IoSlice, IoSliceMut},
    mem::MaybeUninit,
    os::fd::{BorrowedFd, OwnedFd},
};

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};

/// Longest message. A string of the Wayland protocol has at most 4096 bytes.
const LONGEST: usize = 8 << 10;
const SOCKETS: usize = 3;
/// First parts of requests.
const COMPOSITOR: &str = "wayland";
const PIPEWIRE: &str = "pipewire";
/// First bytes of answers.
const REGISTERED: u8 = b'+';
const NOT_OFFERED: u8 = b'-';
const FAILED: u8 = b'!';

/// Whom a listening socket is registered with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Server {
    /// A Wayland compositor.
    Compositor,
    /// PipeWire.
    PipeWire {
        /// What its clients may do: words with commas between them, for the session manager.
        media: String,
    },
}

/// Who the clients of a listening socket are: what the server is told (`wp_security_context_v1`,
/// `pw_security_context_create`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Context {
    /// Who is told.
    pub server: Server,
    /// What confines them, a name such as `org.flatpak`.
    pub engine: String,
    /// Which app they are.
    pub app: String,
    /// Which running instance of it.
    pub instance: String,
}

impl Context {
    fn parts(&self) -> [&str; 5] {
        let (server, media) = match &self.server {
            Server::Compositor => (COMPOSITOR, ""),
            Server::PipeWire { media } => (PIPEWIRE, media.as_str()),
        };
        [server, media, &self.engine, &self.app, &self.instance]
    }

    fn of_parts(parts: &[&str]) -> Option<Self> {
        let &[server, media, engine, app, instance] = parts else {
            return None;
        };
        let server = match (server, media) {
            (COMPOSITOR, "") => Server::Compositor,
            (PIPEWIRE, media) => Server::PipeWire {
                media: media.to_owned(),
            },
            _ => return None,
        };
        let [engine, app, instance] = [engine, app, instance].map(str::to_owned);
        Some(Self {
            server,
            engine,
            app,
            instance,
        })
    }
}

/// What came of a registration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// The server accepts connections at the socket.
    Registered,
    /// The server does not know security contexts.
    NotOffered,
    /// Something else, in words.
    Failed(String),
}

/// Sends a context, with the connection to the server, the listening socket, and the one whose
/// other end is open for as long as the server is to listen.
///
/// # Errors
/// From sendmsg(2).
pub fn send_request(
    control: BorrowedFd<'_>,
    context: &Context,
    sockets: [BorrowedFd<'_>; SOCKETS],
) -> io::Result<()> {
    let text = context.parts().join("\0");
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(SOCKETS))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    ancillary.push(SendAncillaryMessage::ScmRights(&sockets));
    let parts = [IoSlice::new(text.as_bytes())];
    sendmsg(control, &parts, &mut ancillary, SendFlags::NOSIGNAL)?;
    Ok(())
}

/// Receives what [`send_request`] sends.
///
/// # Errors
/// From recvmsg(2); `InvalidData` for anything else than such a message.
pub fn receive_request(control: BorrowedFd<'_>) -> io::Result<(Context, [OwnedFd; SOCKETS])> {
    let mut text = [0; LONGEST];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(SOCKETS))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let mut parts = [IoSliceMut::new(&mut text)];
    let flags = RecvFlags::CMSG_CLOEXEC;
    let received = recvmsg(control, &mut parts, &mut ancillary, flags)?;
    let sockets: Vec<OwnedFd> = ancillary
        .drain()
        .filter_map(|message| match message {
            RecvAncillaryMessage::ScmRights(sockets) => Some(sockets),
            _ => None,
        })
        .flatten()
        .collect();
    let text = str::from_utf8(text.get(..received.bytes).unwrap_or_default());
    let parts: Vec<&str> = text.map_err(invalid)?.split('\0').collect();
    let context = Context::of_parts(&parts);
    match (context, <[OwnedFd; SOCKETS]>::try_from(sockets)) {
        (Some(context), Ok(sockets)) => Ok((context, sockets)),
        _ => Err(invalid("not a context and three sockets")),
    }
}

/// Sends what came of it.
///
/// # Errors
/// From send(2).
pub fn send_answer(control: BorrowedFd<'_>, answer: &Answer) -> io::Result<()> {
    let text = match answer {
        Answer::Registered => vec![REGISTERED],
        Answer::NotOffered => vec![NOT_OFFERED],
        Answer::Failed(why) => {
            let mut text = vec![FAILED];
            text.extend(why.bytes().take(LONGEST - 1));
            text
        }
    };
    rustix::net::send(control, &text, SendFlags::NOSIGNAL)?;
    Ok(())
}

/// Receives what [`send_answer`] sends.
///
/// # Errors
/// From recv(2), `UnexpectedEof` when the other side is gone, `InvalidData` for anything else.
pub fn receive_answer(control: BorrowedFd<'_>) -> io::Result<Answer> {
    let mut text = [0; LONGEST];
    let (length, _) = rustix::net::recv(control, &mut text, RecvFlags::empty())?;
    match text.get(..length).and_then(<[u8]>::split_first) {
        None => Err(io::ErrorKind::UnexpectedEof.into()),
        Some((&REGISTERED, [])) => Ok(Answer::Registered),
        Some((&NOT_OFFERED, [])) => Ok(Answer::NotOffered),
        Some((&FAILED, why)) => Ok(Answer::Failed(String::from_utf8_lossy(why).into_owned())),
        Some(_) => Err(invalid("no answer that is known")),
    }
}

fn invalid(why: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use std::{
        io::{Read as _, Write as _},
        os::{fd::AsFd as _, unix::net::UnixStream},
    };

    #[test]
    fn request_arrives_with_its_sockets() {
        let (agent, program) = UnixStream::pair().unwrap();
        let (near, mut far) = UnixStream::pair().unwrap();
        let context = Context {
            server: Server::Compositor,
            engine: "org.example".to_owned(),
            app: String::new(),
            instance: "SC-3".to_owned(),
        };
        send_request(agent.as_fd(), &context, [near.as_fd(); 3]).unwrap();
        let (received, sockets) = receive_request(program.as_fd()).unwrap();
        assert_eq!(received, context);
        let to_pipewire = Context {
            server: Server::PipeWire {
                media: "playback,camera".to_owned(),
            },
            ..context
        };
        send_request(agent.as_fd(), &to_pipewire, [near.as_fd(); 3]).unwrap();
        assert_eq!(receive_request(program.as_fd()).unwrap().0, to_pipewire);
        drop(near);
        let [first, ..] = sockets;
        UnixStream::from(first).write_all(b"x").unwrap();
        let mut byte = [0];
        far.read_exact(&mut byte).unwrap();
        assert_eq!(&byte, b"x");
    }

    #[test]
    fn answers_arrive_as_they_were() {
        let (agent, program) = UnixStream::pair().unwrap();
        for answer in [
            Answer::Registered,
            Answer::NotOffered,
            Answer::Failed("no".to_owned()),
        ] {
            send_answer(program.as_fd(), &answer).unwrap();
            assert_eq!(receive_answer(agent.as_fd()).unwrap(), answer);
        }
    }

    #[test]
    fn what_is_no_message_is_refused() {
        let (mut agent, mut program) = UnixStream::pair().unwrap();
        agent.write_all(b"a\0b\0c").unwrap();
        let error = receive_request(program.as_fd()).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
        for wrong in [&b"?"[..], b"+more"] {
            program.write_all(wrong).unwrap();
            let error = receive_answer(agent.as_fd()).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidData);
        }
        drop(program);
        let error = receive_answer(agent.as_fd()).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
    }
}
