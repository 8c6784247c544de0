//! Decides about each message of one connection.

mod driver;
mod driver_call;
mod known_names;
mod pending;
mod verdict;

pub use driver_call::DRIVER;
pub use verdict::{DROPPED, Refusal, Verdict, describe, refused};

use known_names::KnownNames;
use pending::{IncomingCalls, NameHasher, OutgoingCalls};

use crate::{
    limits,
    rule::{BusDirection, RuleSet, Subject},
    wire::{Header, Kind},
};

/// The memory of one connection: which calls may still be answered, and which names it has to do
/// with.
#[derive(Debug)]
pub struct Filter {
    hasher: NameHasher,
    outgoing: OutgoingCalls,
    incoming: IncomingCalls,
    known: KnownNames,
    /// How many calls may wait for their replies, in each direction.
    pending: usize,
}

impl Filter {
    /// For a new connection, of which `pending` calls may wait for their replies, in each
    /// direction.
    #[must_use]
    pub fn new(pending: u32) -> Self {
        Self {
            hasher: NameHasher::default(),
            outgoing: OutgoingCalls::default(),
            incoming: IncomingCalls::default(),
            known: KnownNames::default(),
            pending: usize::try_from(pending).unwrap_or(usize::MAX),
        }
    }

    /// Whether the verdict on this message needs its whole body.
    #[must_use]
    pub fn needs_body(&self, direction: BusDirection, header: &Header<'_>) -> bool {
        match direction {
            BusDirection::Outgoing => {
                header.body <= limits::DRIVER_BODY && driver_call::needs_body(header)
            }
            BusDirection::Incoming => {
                header.body <= limits::DRIVER_ANSWER && self.driver_tells_names(header)
            }
        }
    }

    /// The verdict on a message from the container. `body` is what has come of its body: all of
    /// it if [`Self::needs_body`] asks for that.
    pub fn outgoing(&mut self, rules: &RuleSet, header: &Header<'_>, body: &[u8]) -> Verdict {
        let verdict = match header.kind {
            Kind::Call => match self.outgoing_call(rules, header, body) {
                Ok(()) => Verdict::Pass,
                Err(verdict) => or_drop(header, verdict),
            },
            Kind::Return | Kind::Error => return self.outgoing_reply(header),
            Kind::Signal => pass_if(allows(rules, BusDirection::Outgoing, header)),
            Kind::Unknown(_) => Verdict::Drop,
        };
        if let (Verdict::Pass, Some(peer)) = (&verdict, header.destination) {
            self.known.insert(&self.hasher, peer);
        }
        verdict
    }

    /// The verdict on a message from the bus. `body` is what has come of its body: all of it if
    /// [`Self::needs_body`] asks for that.
    pub fn incoming(&mut self, rules: &RuleSet, header: &Header<'_>, body: &[u8]) -> Verdict {
        let verdict = match header.kind {
            Kind::Call => match self.incoming_call(rules, header) {
                Ok(()) => Verdict::Pass,
                Err(refusal) => or_drop(header, Verdict::Refuse(refusal)),
            },
            Kind::Return | Kind::Error => self.incoming_reply(rules, header, body),
            // The bus writes the sender itself, so this one is the driver's: NameAcquired and its
            // like.
            Kind::Signal if header.sender == Some(DRIVER) => {
                self.driver_signal(rules, header, body)
            }
            Kind::Signal => pass_if(allows(rules, BusDirection::Incoming, header)),
            Kind::Unknown(_) => Verdict::Drop,
        };
        if verdict == Verdict::Pass {
            // The sender, and the connection's own name.
            for name in [header.sender, header.destination].into_iter().flatten() {
                self.known.insert(&self.hasher, name);
            }
        }
        verdict
    }

    fn outgoing_call(
        &mut self,
        rules: &RuleSet,
        header: &Header<'_>,
        body: &[u8],
    ) -> Result<(), Verdict> {
        let question = self.driver_call(rules, header, body)?;
        if header.destination != Some(DRIVER) && !allows(rules, BusDirection::Outgoing, header) {
            return Err(Verdict::Refuse(Refusal::NoRule));
        }
        if header.flags.no_reply_expected() {
            return Ok(());
        }
        let destination = header.destination;
        self.outgoing
            .insert(
                &self.hasher,
                header.serial,
                destination,
                question,
                self.pending,
            )
            .map_err(Verdict::Refuse)
    }

    fn outgoing_reply(&mut self, header: &Header<'_>) -> Verdict {
        let call = header.destination.zip(header.reply_serial);
        pass_if(
            call.is_some_and(|(caller, serial)| self.incoming.remove(&self.hasher, caller, serial)),
        )
    }

    fn incoming_call(&mut self, rules: &RuleSet, header: &Header<'_>) -> Result<(), Refusal> {
        if !allows(rules, BusDirection::Incoming, header) {
            return Err(Refusal::NoRule);
        }
        match header.sender {
            _ if header.flags.no_reply_expected() => Ok(()),
            Some(sender) => self
                .incoming
                .insert(&self.hasher, sender, header.serial, self.pending),
            // The bus names the sender of everything; without one, there is nobody to reply to.
            None => Err(Refusal::NoRule),
        }
    }

    fn incoming_reply(&mut self, rules: &RuleSet, header: &Header<'_>, body: &[u8]) -> Verdict {
        let Some(serial) = header.reply_serial else {
            return Verdict::Drop;
        };
        let question = self.outgoing.question(serial);
        if !self.outgoing.remove(&self.hasher, serial, header.sender) {
            return Verdict::Drop;
        }
        match header.kind {
            Kind::Return => self.driver_answer(rules, header, body, question),
            _ => Verdict::Pass,
        }
    }
}

fn pass_if(allowed: bool) -> Verdict {
    if allowed {
        Verdict::Pass
    } else {
        Verdict::Drop
    }
}

/// The verdict on a call that does not pass: nobody is answered who does not expect it.
fn or_drop(header: &Header<'_>, verdict: Verdict) -> Verdict {
    if header.flags.no_reply_expected() {
        Verdict::Drop
    } else {
        verdict
    }
}

fn allows(rules: &RuleSet, direction: BusDirection, header: &Header<'_>) -> bool {
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
