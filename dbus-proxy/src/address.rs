//! D-Bus server addresses.

use std::{
    ffi::OsString,
    fmt,
    os::unix::ffi::{OsStrExt, OsStringExt},
    path::PathBuf,
};

use rustix::{io::Errno, net::SocketAddrUnix};

/// A Unix socket that a bus listens on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SocketAddress {
    /// In the file system.
    Path(PathBuf),
    /// In the abstract namespace, without the leading NUL.
    Abstract(Vec<u8>),
}

/// An address string that names no Unix socket.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the D-Bus address {0:?} names no Unix socket (unix:path=… or unix:abstract=…)")]
pub struct AddressError(String);

impl SocketAddress {
    /// Takes the first Unix socket from a D-Bus address list such as
    /// `unix:path=/run/dbus/system_bus_socket`.
    ///
    /// # Errors
    /// [`AddressError`] when there is none.
    pub fn parse(addresses: &str) -> Result<Self, AddressError> {
        addresses
            .split(';')
            .find_map(Self::parse_one)
            .ok_or_else(|| AddressError(addresses.to_owned()))
    }

    fn parse_one(address: &str) -> Option<Self> {
        address.strip_prefix("unix:")?.split(',').find_map(|pair| {
            let (key, value) = pair.split_once('=')?;
            let value = unescape(value)?;
            match key {
                "path" if value.starts_with(b"/") => {
                    Some(Self::Path(OsString::from_vec(value).into()))
                }
                "abstract" if !value.is_empty() => Some(Self::Abstract(value)),
                _ => None,
            }
        })
    }

    /// For connect(2).
    ///
    /// # Errors
    /// `ENAMETOOLONG`, and `EINVAL` for a NUL in a path.
    pub(crate) fn to_system(&self) -> Result<SocketAddrUnix, Errno> {
        match self {
            Self::Path(path) => SocketAddrUnix::new(path),
            Self::Abstract(name) => SocketAddrUnix::new_abstract_name(name),
        }
    }
}

impl fmt::Display for SocketAddress {
    /// As a D-Bus address.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (key, value) = match self {
            Self::Path(path) => ("path", path.as_os_str().as_bytes()),
            Self::Abstract(name) => ("abstract", name.as_slice()),
        };
        write!(f, "unix:{key}=")?;
        value.iter().try_for_each(|&byte| match byte {
            b'-' | b'_' | b'/' | b'.' | b'*' | b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' => {
                write!(f, "{}", char::from(byte))
            }
            _ => write!(f, "%{byte:02x}"),
        })
    }
}

fn unescape(value: &str) -> Option<Vec<u8>> {
    let mut bytes = value.bytes();
    let mut out = Vec::with_capacity(value.len());
    while let Some(byte) = bytes.next() {
        if byte == b'%' {
            let digits = [bytes.next()?, bytes.next()?];
            let digits = std::str::from_utf8(&digits).ok()?;
            out.push(u8::from_str_radix(digits, 16).ok()?);
        } else {
            out.push(byte);
        }
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unix_sockets_are_found_in_address_lists() {
        let cases = [
            ("unix:path=/run/bus", SocketAddress::Path("/run/bus".into())),
            (
                "unix:path=/run/bus,guid=00",
                SocketAddress::Path("/run/bus".into()),
            ),
            (
                "tcp:host=x;unix:path=/a%20b",
                SocketAddress::Path("/a b".into()),
            ),
            ("unix:abstract=x", SocketAddress::Abstract(b"x".into())),
        ];
        for (text, expected) in cases {
            assert_eq!(SocketAddress::parse(text), Ok(expected.clone()), "{text}");
            assert_eq!(SocketAddress::parse(&expected.to_string()), Ok(expected));
        }
        for text in [
            "",
            "unix:",
            "tcp:host=x",
            "unix:path=relative",
            "unix:path=/%zz",
            "autolaunch:",
        ] {
            assert!(SocketAddress::parse(text).is_err(), "{text}");
        }
    }
}
