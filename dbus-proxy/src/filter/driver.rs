//! Calls to the bus itself, and what its answers and signals tell of others.
//!
//! A bus knows every service and every app of the host. A container sees of that the names that a
//! rule is about ([`crate::rule`], `reach`), those that its connection exchanged messages with, and
//! the driver's. Other names do not exist for it: questions about them are answered as the bus
//! answers for names that nobody has, lists and signals leave them out.

use super::{
    Filter, Refusal, Verdict, allows,
    driver_call::{DRIVER, DriverCall, classify},
    pending::Question,
};
use crate::{
    limits,
    rule::{BusDirection, RuleSet},
    wire::{Argument, Header, Kind, Reader, error_reply, return_reply},
};

impl Filter {
    /// The verdict on a call that is one to the driver, or may be taken for one.
    pub(super) fn driver_call(
        &mut self,
        rules: &RuleSet,
        header: &Header<'_>,
        body: &[u8],
    ) -> Result<Question, Verdict> {
        let ruled = || {
            let own_interface = |interface: &str| interface.starts_with(DRIVER);
            header.interface.is_none_or(own_interface)
                && allows(rules, BusDirection::Outgoing, header)
        };
        let refused = |refusal| Err(Verdict::Refuse(refusal));
        match classify(header) {
            DriverCall::No | DriverCall::Own => {}
            DriverCall::AddMatch if asks_for_own_messages(header, body) => {}
            DriverCall::AddMatch | DriverCall::Forbidden => return refused(Refusal::Driver),
            DriverCall::ByFullName => {
                let full = header.interface.zip(header.member);
                let own = full.filter(|(interface, _)| interface.starts_with(DRIVER));
                if !own.is_some_and(|(interface, member)| rules.names(interface, member)) {
                    return refused(Refusal::Driver);
                }
            }
            DriverCall::ByRule => {
                if !ruled() {
                    return refused(Refusal::NoRule);
                }
            }
            DriverCall::Names if !ruled() => return Ok(Question::Names),
            DriverCall::Names => {}
            DriverCall::Question => {
                let name = first_name(header, body).unwrap_or_default();
                if !self.is_visible(rules, name) && !ruled() {
                    return Err(match header.member {
                        Some("NameHasOwner") => Verdict::AnswerNo,
                        _ => Verdict::Refuse(Refusal::NoSuchName),
                    });
                }
                if header.member == Some("GetNameOwner") {
                    return Ok(Question::Owner);
                }
            }
            DriverCall::Start => {
                let name = first_name(header, body).unwrap_or_default();
                // A call that passes starts its service as well.
                if name != DRIVER && !rules.reaches_outgoing(name) && !ruled() {
                    return refused(Refusal::NoSuchService);
                }
            }
        }
        Ok(Question::Other)
    }

    /// Whether the container sees that there is this name.
    fn is_visible(&self, rules: &RuleSet, name: &str) -> bool {
        name == DRIVER
            || self.known.contains(&self.hasher, name)
            || (!name.starts_with(':') && rules.reaches(name))
    }

    /// Whether the verdict on this message of the bus depends on its body.
    pub(super) fn driver_tells_names(&self, header: &Header<'_>) -> bool {
        if header.sender != Some(DRIVER) {
            return false;
        }
        match (header.kind, header.reply_serial) {
            (Kind::Signal, _) => {
                matches!(header.member, Some("NameOwnerChanged" | "NameAcquired"))
            }
            (Kind::Return, Some(serial)) => self.outgoing.question(serial) != Question::Other,
            _ => false,
        }
    }

    /// The verdict on an answer of the driver to a call that asked `question`.
    pub(super) fn driver_answer(
        &mut self,
        rules: &RuleSet,
        header: &Header<'_>,
        body: &[u8],
        question: Question,
    ) -> Verdict {
        let mut reader = Reader::new(body, 0, header.endian);
        match question {
            Question::Other => Verdict::Pass,
            Question::Owner => {
                if let Ok(owner) = reader.string() {
                    self.known.insert(&self.hasher, owner);
                }
                Verdict::Pass
            }
            Question::Names => {
                let all = if header.signature == Some("as") {
                    reader.strings().ok()
                } else {
                    None
                };
                let (endian, serial) = (header.endian, header.serial.get());
                let call = header.reply_serial.map_or(0, std::num::NonZeroU32::get);
                Verdict::Replace(match all {
                    Some(mut names) => {
                        names.retain(|name| self.is_visible(rules, name));
                        let names = Argument::Texts(&names);
                        return_reply(endian, serial, call, names, DRIVER, header.destination)
                    }
                    None => error_reply(
                        endian,
                        serial,
                        call,
                        "org.freedesktop.DBus.Error.LimitsExceeded",
                        "The list of names is too long",
                        Some(DRIVER),
                        header.destination,
                    ),
                })
            }
        }
    }

    /// The verdict on a signal of the driver.
    pub(super) fn driver_signal(
        &mut self,
        rules: &RuleSet,
        header: &Header<'_>,
        body: &[u8],
    ) -> Verdict {
        let name = first_name(header, body);
        match (header.member, name) {
            (Some("NameAcquired"), Some(name)) => {
                self.known.insert(&self.hasher, name);
                Verdict::Pass
            }
            (Some("NameOwnerChanged"), Some(name)) => {
                if !self.is_visible(rules, name) {
                    return super::pass_if(allows(rules, BusDirection::Incoming, header));
                }
                let mut reader = Reader::new(body, 0, header.endian);
                let owners = [reader.string(), reader.string(), reader.string()];
                if let [Ok(_), Ok(_), Ok(owner)] = owners
                    && !owner.is_empty()
                {
                    self.known.insert(&self.hasher, owner);
                }
                Verdict::Pass
            }
            (Some("NameOwnerChanged"), None) => Verdict::Drop,
            _ => Verdict::Pass,
        }
    }
}

/// The first argument, which has to be a string.
fn first_name<'a>(header: &Header<'_>, body: &'a [u8]) -> Option<&'a str> {
    if !header.signature.unwrap_or_default().starts_with('s') {
        return None;
    }
    Reader::new(body, 0, header.endian).string().ok()
}

/// Whether an AddMatch call asks for no messages to others.
fn asks_for_own_messages(header: &Header<'_>, body: &[u8]) -> bool {
    if header.signature != Some("s") || header.body > limits::DRIVER_BODY {
        return false;
    }
    let mut reader = Reader::new(body, 0, header.endian);
    reader
        .string()
        .is_ok_and(|rule| reader.at_end() && !asks_to_eavesdrop(rule))
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
