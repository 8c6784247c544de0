//! The kernel's and udev's messages about devices that come, change and go.

use std::{
    collections::BTreeSet,
    io,
    os::fd::{AsFd as _, AsRawFd as _, OwnedFd},
    sync::{Mutex, PoisonError},
};

use nix::{
    errno::Errno,
    sys::socket::{
        AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, bind, recv, socket,
    },
};
use smol::Async;

/// The kernel's messages, sent when the node is there, and udev's, sent when it has set the node's
/// mode and made its links (libsystemd's sd-device-monitor; `lib/kobject_uevent.c` in Linux).
const GROUPS: u32 = 0b11;
/// The largest that either sends (`UEVENT_BUFFER_SIZE` and udev's own).
const LONGEST: usize = 8 << 10;
/// How udev's messages begin; an integer in the machine's order at this offset says where the
/// properties begin.
const UDEV: &[u8] = b"libudev\0";
const PROPERTIES: usize = 16;

/// Messages about the devices of chosen subsystems.
#[derive(Debug)]
pub struct Uevents {
    socket: Async<OwnedFd>,
    subsystems: Mutex<BTreeSet<String>>,
}

impl Uevents {
    /// Listens.
    ///
    /// # Errors
    /// From socket(2) and bind(2).
    pub fn listen() -> io::Result<Self> {
        let socket = socket(
            AddressFamily::Netlink,
            SockType::Datagram,
            SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK,
            SockProtocol::NetlinkKObjectUEvent,
        )?;
        bind(socket.as_raw_fd(), &NetlinkAddr::new(0, GROUPS))?;
        Ok(Self {
            socket: Async::new_nonblocking(socket)?,
            subsystems: Mutex::default(),
        })
    }

    /// Tells of `subsystem`, too, from now on.
    pub fn add(&self, subsystem: &str) {
        let mut subsystems = self
            .subsystems
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if !subsystems.contains(subsystem) {
            subsystems.insert(subsystem.to_owned());
        }
    }

    /// Returns when a device of one of the subsystems has come, changed or gone.
    ///
    /// # Errors
    /// From recv(2).
    pub async fn changed(&self) -> io::Result<()> {
        loop {
            self.socket.readable().await?;
            if self.drain()? {
                return Ok(());
            }
        }
    }

    /// Takes all messages, and tells whether one was about a subsystem of interest.
    fn drain(&self) -> io::Result<bool> {
        let subsystems = self
            .subsystems
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let mut buffer = [0; LONGEST];
        let mut found = false;
        loop {
            let socket = self.socket.as_fd().as_raw_fd();
            match recv(socket, &mut buffer, MsgFlags::empty()) {
                Ok(length) => {
                    let message = buffer.get(..length).unwrap_or_default();
                    found |= subsystem(message).is_some_and(|it| subsystems.contains(it));
                }
                // More than the kernel keeps for us has come, so there may have been one.
                Err(Errno::ENOBUFS) => found = true,
                Err(Errno::EAGAIN) => return Ok(found),
                Err(Errno::EINTR) => {}
                Err(errno) => return Err(errno.into()),
            }
        }
    }
}

/// The subsystem of the device that a message is about.
fn subsystem(message: &[u8]) -> Option<&str> {
    let properties = if message.starts_with(UDEV) {
        let offset = message.get(PROPERTIES..)?.first_chunk()?;
        message.get(usize::try_from(u32::from_ne_bytes(*offset)).ok()?..)?
    } else {
        message
    };
    let mut properties = properties.split(|byte| *byte == 0);
    let value = properties.find_map(|property| property.strip_prefix(b"SUBSYSTEM="))?;
    str::from_utf8(value).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subsystem_is_found_in_messages_of_the_kernel_and_of_udev() {
        let kernel = b"add@/devices/x\0ACTION=add\0DEVPATH=/devices/x\0SUBSYSTEM=drm\0SEQNUM=1\0";
        assert_eq!(subsystem(kernel), Some("drm"));
        let mut udev = UDEV.to_vec();
        udev.extend(0xfeed_cafe_u32.to_be_bytes());
        udev.extend(40_u32.to_ne_bytes());
        udev.extend(40_u32.to_ne_bytes());
        udev.resize(40, 0);
        udev.extend(b"SUBSYSTEM=input\0ACTION=add\0");
        assert_eq!(subsystem(&udev), Some("input"));
    }

    #[test]
    fn what_is_no_message_has_no_subsystem() {
        let mut beyond = UDEV.to_vec();
        beyond.extend([0xff; 32]);
        for message in [
            &b""[..],
            b"libudev\0",
            b"libudev\0\0\0\0\0\0\0",
            b"add@/x\0SUBSYSTEM=\xff\0",
            &beyond,
        ] {
            assert_eq!(subsystem(message), None);
        }
    }
}
