//! What happens to a message, and what is said about it.

use crate::{
    rule::BusDirection,
    wire::{Header, Kind},
};

/// What happens to a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is forwarded.
    Pass,
    /// It disappears, as the sender does not expect an answer.
    Drop,
    /// It is a call that is answered with an error.
    Refuse(Refusal),
    /// It is a call that is answered with `false`.
    AnswerNo,
    /// This message is forwarded in its place.
    Replace(Vec<u8>),
}

/// Why a call is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Refusal {
    /// No rule allows it.
    NoRule,
    /// It asks the bus driver for messages or powers that are not the caller's.
    Driver,
    /// It asks about a name that no rule is about.
    NoSuchName,
    /// It starts a service with a name that no rule is about.
    NoSuchService,
    /// A call with this serial is still waiting for its reply.
    SerialInUse,
    /// Too many calls wait for their replies.
    TooManyCalls,
}

impl Refusal {
    /// The D-Bus error name of the answer.
    #[must_use]
    pub fn error_name(self) -> &'static str {
        match self {
            Self::TooManyCalls => "org.freedesktop.DBus.Error.LimitsExceeded",
            // As the bus answers when there is no such name. Clients take that well.
            Self::NoSuchName => "org.freedesktop.DBus.Error.NameHasNoOwner",
            Self::NoSuchService => "org.freedesktop.DBus.Error.ServiceUnknown",
            _ => "org.freedesktop.DBus.Error.AccessDenied",
        }
    }

    /// What to say about a call of `member` of `interface` on `path`.
    #[must_use]
    pub fn text(self, direction: BusDirection, header: &Header<'_>) -> String {
        let what = describe(direction, header);
        let why = match self {
            Self::NoRule => "no rule of the container allows it",
            Self::Driver => "containers may not watch or steer others through the bus",
            Self::NoSuchName | Self::NoSuchService => "no rule of the container is about this name",
            Self::SerialInUse => "an unanswered call has the same serial",
            Self::TooManyCalls => "too many calls wait for their replies",
        };
        format!("{REFUSED}{what}: {why}")
    }
}

/// What texts about refused calls begin with.
const REFUSED: &str = "Refused ";
/// What texts about messages begin with that are dropped, as nobody waits for an answer.
pub const DROPPED: &str = "Dropped ";

/// What was refused, if that is what a text says that begins with the bus that it is about.
#[must_use]
pub fn refused(text: &str) -> Option<String> {
    let (bus, text) = text.split_once(": ")?;
    let what = text.strip_prefix(REFUSED);
    let what = what.or_else(|| text.strip_prefix(DROPPED))?;
    Some(format!("{bus}: {what}"))
}

/// Names a message for a person. Names and paths in it are valid, so they hold no control
/// characters.
#[must_use]
pub fn describe(direction: BusDirection, header: &Header<'_>) -> String {
    let way = match direction {
        BusDirection::Outgoing => "outgoing",
        BusDirection::Incoming => "incoming",
    };
    let kind = match header.kind {
        Kind::Call => "call",
        Kind::Return => "reply",
        Kind::Error => "error",
        Kind::Signal => "signal",
        Kind::Unknown(_) => "message of unknown type",
    };
    let cut =
        |text: Option<&str>| -> String { text.unwrap_or("(none)").chars().take(SHOWN).collect() };
    let (interface, member, path) = (cut(header.interface), cut(header.member), cut(header.path));
    match header.kind {
        Kind::Call | Kind::Signal => format!("{way} {kind} {interface}.{member} on {path}"),
        _ => format!("{way} {kind}"),
    }
}

/// Characters of a name or path that a text shows: a path may be as long as a header.
const SHOWN: usize = 255;
