//! Calls to the bus itself: all are allowed but those that reach beyond the caller's own
//! connection.

use super::Refusal;
use crate::wire::{Header, Reader};

/// The name of the bus driver.
pub const DRIVER: &str = "org.freedesktop.DBus";

/// What a call is to the driver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum DriverCall {
    /// It goes to somebody else.
    No,
    /// It is allowed as it is.
    Harmless,
    /// It adds a match rule, which must not ask for messages to others.
    AddMatch,
    /// It is never allowed.
    Forbidden,
    /// It is allowed where a rule names it in full: it sets the environment of the host's services.
    OnlyByName {
        interface: &'static str,
        member: &'static str,
    },
}

/// Members are looked at without regard to interface, path or argument types: buses differ in how
/// much of these they insist on, and the driver has no harmless methods of the same names.
pub(super) fn classify(header: &Header<'_>) -> DriverCall {
    let at_driver = header.destination == Some(DRIVER);
    // A bus may take a call to nobody as one to itself, so the forbidden ones are recognized there,
    // too.
    if !at_driver && header.destination.is_some() {
        return DriverCall::No;
    }
    match header.member {
        Some("BecomeMonitor") => DriverCall::Forbidden,
        Some("AddMatch") => DriverCall::AddMatch,
        Some("UpdateActivationEnvironment") => DriverCall::OnlyByName {
            interface: DRIVER,
            member: "UpdateActivationEnvironment",
        },
        _ if at_driver => DriverCall::Harmless,
        _ => DriverCall::No,
    }
}

/// Checks the match rule of an AddMatch call.
pub(super) fn check_match(header: &Header<'_>, body: &[u8]) -> Result<(), Refusal> {
    if header.signature != Some("s") {
        return Err(Refusal::Driver);
    }
    let mut reader = Reader::new(body, 0, header.endian);
    match reader.string() {
        Ok(rule) if reader.at_end() && !asks_to_eavesdrop(rule) => Ok(()),
        _ => Err(Refusal::Driver),
    }
}

/// Whether the key `eavesdrop` may be in this match rule. It says yes to some odd values of other
/// keys that contain `eavesdrop=`, rather than depend on reading quotes like each bus does.
fn asks_to_eavesdrop(rule: &str) -> bool {
    rule.split("eavesdrop").skip(1).any(|rest| {
        rest.trim_start_matches(|c: char| c.is_ascii_whitespace() || c == '\u{b}')
            .starts_with('=')
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn eavesdropping_is_found_in_every_spelling() {
        let asking = [
            "eavesdrop=true",
            "eavesdrop='true'",
            "type='signal',eavesdrop='true'",
            " eavesdrop ='true'",
            "type='signal',\teavesdrop\t\r\n='true'",
            "eavesdrop='false'",
            "arg0='it''s',eavesdrop=true",
            "eavesdropeavesdrop=true",
        ];
        for rule in asking {
            assert!(asks_to_eavesdrop(rule), "{rule}");
        }
        let fine = ["", "type='signal'", "path='/eavesdrop'", "arg0='eavesdrop'"];
        for rule in fine {
            assert!(!asks_to_eavesdrop(rule), "{rule}");
        }
    }
}
