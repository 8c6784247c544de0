//! Decides about each message of one connection.

mod driver;
mod pending;

pub use driver::DRIVER;
use driver::DriverCall;
use pending::{IncomingCalls, NameHasher, OutgoingCalls};

use crate::{
    limits,
    rule::{Direction, RuleSet, Subject},
    wire::{Header, Kind},
};

/// What happens to a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is forwarded.
    Pass,
    /// It disappears, as the sender does not expect an answer.
    Drop,
    /// It is a call that is answered with an error.
    Refuse(Refusal),
}

/// Why a call is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Refusal {
    /// No rule allows it.
    NoRule,
    /// It asks the bus driver for messages or powers that are not the caller's.
    Driver,
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
            _ => "org.freedesktop.DBus.Error.AccessDenied",
        }
    }

    /// What to say about a call of `member` of `interface` on `path`.
    #[must_use]
    pub fn text(self, direction: Direction, header: &Header<'_>) -> String {
        let what = describe(direction, header);
        let why = match self {
            Self::NoRule => "no rule of the container allows it",
            Self::Driver => "containers may not watch or steer others through the bus",
            Self::SerialInUse => "an unanswered call has the same serial",
            Self::TooManyCalls => "too many calls wait for their replies",
        };
        format!("Refused {what}: {why}")
    }
}

/// Names a message for a person. Names and paths in it are valid, so they hold no control
/// characters.
#[must_use]
pub fn describe(direction: Direction, header: &Header<'_>) -> String {
    let way = match direction {
        Direction::Outgoing => "outgoing",
        Direction::Incoming => "incoming",
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

/// The memory of one connection: which calls may still be answered.
#[derive(Debug, Default)]
pub struct Filter {
    hasher: NameHasher,
    outgoing: OutgoingCalls,
    incoming: IncomingCalls,
}

impl Filter {
    /// Whether the verdict on this outgoing message needs its body.
    #[must_use]
    pub fn needs_body(header: &Header<'_>) -> bool {
        header.body <= limits::DRIVER_BODY && driver::classify(header) == DriverCall::AddMatch
    }

    /// The verdict on a message from the container. `body` is empty unless [`Self::needs_body`]
    /// asked for it.
    pub fn outgoing(&mut self, rules: &RuleSet, header: &Header<'_>, body: &[u8]) -> Verdict {
        match header.kind {
            Kind::Call => match self.outgoing_call(rules, header, body) {
                Ok(()) => Verdict::Pass,
                Err(refusal) => refuse(header, refusal),
            },
            Kind::Return | Kind::Error => self.outgoing_reply(header),
            Kind::Signal => pass_if(allows(rules, Direction::Outgoing, header)),
            Kind::Unknown(_) => Verdict::Drop,
        }
    }

    /// The verdict on a message from the bus.
    pub fn incoming(&mut self, rules: &RuleSet, header: &Header<'_>) -> Verdict {
        match header.kind {
            Kind::Call => match self.incoming_call(rules, header) {
                Ok(()) => Verdict::Pass,
                Err(refusal) => refuse(header, refusal),
            },
            Kind::Return | Kind::Error => self.incoming_reply(header),
            // The bus writes the sender itself, so this one is the driver's: NameAcquired and its
            // like.
            Kind::Signal if header.sender == Some(DRIVER) => Verdict::Pass,
            Kind::Signal => pass_if(allows(rules, Direction::Incoming, header)),
            Kind::Unknown(_) => Verdict::Drop,
        }
    }

    fn outgoing_call(
        &mut self,
        rules: &RuleSet,
        header: &Header<'_>,
        body: &[u8],
    ) -> Result<(), Refusal> {
        match driver::classify(header) {
            DriverCall::No | DriverCall::Harmless => {}
            DriverCall::AddMatch => driver::check_match(header, body)?,
            DriverCall::Forbidden => return Err(Refusal::Driver),
            DriverCall::OnlyByName { interface, member } => {
                if !rules.names(interface, member) {
                    return Err(Refusal::Driver);
                }
            }
        }
        if header.destination != Some(DRIVER) && !allows(rules, Direction::Outgoing, header) {
            return Err(Refusal::NoRule);
        }
        if header.flags.no_reply_expected() {
            return Ok(());
        }
        self.outgoing
            .insert(&self.hasher, header.serial, header.destination)
    }

    fn outgoing_reply(&mut self, header: &Header<'_>) -> Verdict {
        let call = header.destination.zip(header.reply_serial);
        pass_if(
            call.is_some_and(|(caller, serial)| self.incoming.remove(&self.hasher, caller, serial)),
        )
    }

    fn incoming_call(&mut self, rules: &RuleSet, header: &Header<'_>) -> Result<(), Refusal> {
        if !allows(rules, Direction::Incoming, header) {
            return Err(Refusal::NoRule);
        }
        match header.sender {
            _ if header.flags.no_reply_expected() => Ok(()),
            Some(sender) => self.incoming.insert(&self.hasher, sender, header.serial),
            // The bus names the sender of everything; without one, there is nobody to reply to.
            None => Err(Refusal::NoRule),
        }
    }

    fn incoming_reply(&mut self, header: &Header<'_>) -> Verdict {
        pass_if(
            header
                .reply_serial
                .is_some_and(|serial| self.outgoing.remove(&self.hasher, serial, header.sender)),
        )
    }
}

fn pass_if(allowed: bool) -> Verdict {
    if allowed {
        Verdict::Pass
    } else {
        Verdict::Drop
    }
}

fn refuse(header: &Header<'_>, refusal: Refusal) -> Verdict {
    if header.flags.no_reply_expected() {
        Verdict::Drop
    } else {
        Verdict::Refuse(refusal)
    }
}

fn allows(rules: &RuleSet, direction: Direction, header: &Header<'_>) -> bool {
    let (Some(path), Some(member)) = (header.path, header.member) else {
        return false;
    };
    rules.allows(&Subject {
        direction,
        interface: header.interface,
        path,
        member,
    })
}

#[cfg(test)]
mod tests;
