//! The command line, which only the agent writes.

use std::ffi::OsString;

use lexopt::{Arg, Parser, ValueExt};

use crate::{address::SocketAddress, limits};

/// What the agent says at start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Arguments {
    /// Addresses of the session and the system bus.
    pub(crate) buses: [Option<SocketAddress>; 2],
    /// Users to be on them.
    pub(crate) uids: [u32; 2],
    /// The group of the process.
    pub(crate) gid: u32,
    /// How many connections there may be, over both buses.
    pub(crate) connections: u32,
    /// How many calls of a connection may wait for their replies, in each direction.
    pub(crate) pending_calls: u32,
}

/// What the command line asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// To serve.
    Serve(Arguments),
    /// To print the usage.
    Help,
    /// To print the version.
    Version,
}

/// A command line that cannot be understood.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ArgumentError {
    /// An unknown option, or a value that is missing or cannot be used.
    #[error(transparent)]
    Usage(#[from] lexopt::Error),
    /// The option must be there.
    #[error("{0} is missing")]
    Missing(&'static str),
}

/// What `--help` prints.
pub(crate) const USAGE: &str = "\
Usage: softwarecontainer-dbus-proxy --uid UID --gid GID
           [--session-bus ADDRESS [--session-uid UID]] [--system-bus ADDRESS]
           [--connections NUMBER] [--pending-calls NUMBER]

Filters the D-Bus messages of one container. Started by softwarecontainer-agent, which sends
rules and sockets through a socket that is standard input; see softwarecontainer-dbus-proxy(1).
";

/// Reads the arguments that follow the program's name.
///
/// # Errors
/// [`ArgumentError`]
pub(crate) fn parse<A>(arguments: A) -> Result<Action, ArgumentError>
where
    A: IntoIterator<Item: Into<OsString>, IntoIter: 'static>,
{
    let mut parser = Parser::from_args(arguments);
    let (mut uid, mut session_uid, mut gid) = (None, None, None);
    let [mut session, mut system] = [None, None];
    let (mut connections, mut pending_calls) = (limits::CONNECTIONS, limits::PENDING_CALLS);
    while let Some(argument) = parser.next()? {
        match argument {
            Arg::Short('h') | Arg::Long("help") => return Ok(Action::Help),
            Arg::Short('V') | Arg::Long("version") => return Ok(Action::Version),
            Arg::Long("uid") => uid = Some(parser.value()?.parse()?),
            Arg::Long("session-uid") => session_uid = Some(parser.value()?.parse()?),
            Arg::Long("gid") => gid = Some(parser.value()?.parse()?),
            Arg::Long("connections") => connections = parser.value()?.parse()?,
            Arg::Long("pending-calls") => pending_calls = parser.value()?.parse()?,
            Arg::Long("session-bus") => session = Some(address(&mut parser)?),
            Arg::Long("system-bus") => system = Some(address(&mut parser)?),
            other => return Err(other.unexpected().into()),
        }
    }
    let uid = uid.ok_or(ArgumentError::Missing("--uid"))?;
    Ok(Action::Serve(Arguments {
        buses: [session, system],
        uids: [session_uid.unwrap_or(uid), uid],
        gid: gid.ok_or(ArgumentError::Missing("--gid"))?,
        connections,
        pending_calls,
    }))
}

fn address(parser: &mut Parser) -> Result<SocketAddress, lexopt::Error> {
    let value = parser.value()?;
    value.parse_with(SocketAddress::parse)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse_words(line: &'static str) -> Result<Action, ArgumentError> {
        parse(line.split_whitespace())
    }

    #[test]
    fn all_options_are_understood() {
        let line = "--uid 7 --gid 8 --connections 5 --pending-calls 6 --session-uid 9 \
                    --session-bus unix:path=/s --system-bus unix:path=/t";
        let expected = Arguments {
            buses: ["/s", "/t"].map(|path| Some(SocketAddress::Path(path.into()))),
            uids: [9, 7],
            gid: 8,
            connections: 5,
            pending_calls: 6,
        };
        assert_eq!(parse_words(line).unwrap(), Action::Serve(expected));
    }

    #[test]
    fn a_wrong_command_line_is_refused_with_its_mistake() {
        let lines = [
            ("", "--uid is missing"),
            ("--uid 1", "--gid is missing"),
            ("--uid", "--uid"),
            ("--uid -1", "\"-1\""),
            ("--uid 1 --session-bus tcp:x", "\"tcp:x\""),
            ("--nonsense", "--nonsense"),
            ("word", "\"word\""),
        ];
        for (line, mistake) in lines {
            let text = parse_words(line).unwrap_err().to_string();
            assert!(text.contains(mistake), "{line}: {text}");
        }
    }
}
