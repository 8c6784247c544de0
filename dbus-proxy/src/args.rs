//! The command line, which only the agent writes.

use std::fmt;

use crate::address::{AddressError, SocketAddress};
use crate::control::Bus;
use crate::limits;

/// What the agent says at start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Arguments {
    /// Addresses of the session and the system bus.
    pub buses: [Option<SocketAddress>; 2],
    /// Users to be on them.
    pub uids: [u32; 2],
    /// The group of the process.
    pub gid: u32,
    /// How many connections there may be, over both buses.
    pub connections: u32,
}

/// What the command line asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// To serve.
    Serve(Arguments),
    /// To print the usage.
    Help,
    /// To print the version.
    Version,
}

/// A command line that cannot be understood.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ArgumentError {
    /// No such option.
    Unknown(String),
    /// The option needs a number behind it, or an address.
    Value(&'static str),
    /// The option must be there.
    Missing(&'static str),
    /// What is behind the option is no address.
    Address(AddressError),
}

impl fmt::Display for ArgumentError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown(option) => write!(f, "unknown option {option:?}"),
            Self::Value(option) => write!(f, "bad or missing value of {option}"),
            Self::Missing(option) => write!(f, "{option} is missing"),
            Self::Address(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for ArgumentError {}

/// What `--help` prints.
pub const USAGE: &str = "\
Usage: softwarecontainer-dbus-proxy --uid UID --gid GID
           [--session-bus ADDRESS [--session-uid UID]] [--system-bus ADDRESS]
           [--connections NUMBER]

Filters the D-Bus messages of one container. Started by softwarecontainer-agent, which sends
rules and sockets through a socket that is standard input; see softwarecontainer-dbus-proxy(1).
";

/// Reads the arguments that follow the program's name.
///
/// # Errors
/// [`ArgumentError`]
pub fn parse(arguments: impl IntoIterator<Item = String>) -> Result<Action, ArgumentError> {
    let mut arguments = arguments.into_iter();
    let (mut uid, mut session_uid, mut gid) = (None, None, None);
    let [mut session, mut system] = [None, None];
    let mut connections = limits::CONNECTIONS;
    while let Some(option) = arguments.next() {
        let mut value = || arguments.next();
        match option.as_str() {
            "-h" | "--help" => return Ok(Action::Help),
            "-V" | "--version" => return Ok(Action::Version),
            "--uid" => uid = Some(number("--uid", value())?),
            "--session-uid" => session_uid = Some(number("--session-uid", value())?),
            "--gid" => gid = Some(number("--gid", value())?),
            "--connections" => connections = number("--connections", value())?,
            "--session-bus" => session = Some(address(Bus::Session, value())?),
            "--system-bus" => system = Some(address(Bus::System, value())?),
            _ => return Err(ArgumentError::Unknown(option)),
        }
    }
    let uid = uid.ok_or(ArgumentError::Missing("--uid"))?;
    Ok(Action::Serve(Arguments {
        buses: [session, system],
        uids: [session_uid.unwrap_or(uid), uid],
        gid: gid.ok_or(ArgumentError::Missing("--gid"))?,
        connections,
    }))
}

fn number<T: std::str::FromStr>(
    option: &'static str,
    value: Option<String>,
) -> Result<T, ArgumentError> {
    let value = value.and_then(|value| value.parse().ok());
    value.ok_or(ArgumentError::Value(option))
}

fn address(bus: Bus, value: Option<String>) -> Result<SocketAddress, ArgumentError> {
    let option = match bus {
        Bus::Session => "--session-bus",
        Bus::System => "--system-bus",
    };
    let value = value.ok_or(ArgumentError::Value(option))?;
    SocketAddress::parse(&value).map_err(ArgumentError::Address)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse_words(line: &str) -> Result<Action, ArgumentError> {
        parse(line.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn all_options_are_understood() {
        let line = "--uid 7 --gid 8 --connections 5 --session-uid 9 --session-bus unix:path=/s --system-bus unix:path=/t";
        let expected = Arguments {
            buses: ["/s", "/t"].map(|path| Some(SocketAddress::Path(path.into()))),
            uids: [9, 7],
            gid: 8,
            connections: 5,
        };
        assert_eq!(parse_words(line), Ok(Action::Serve(expected)));
    }

    #[test]
    fn a_wrong_command_line_is_refused() {
        let lines = [
            "",
            "--uid 1",
            "--gid 1",
            "--uid",
            "--uid -1",
            "--session-bus tcp:x",
            "--nonsense",
        ];
        for line in lines {
            assert!(parse_words(line).is_err(), "{line}");
        }
    }
}
