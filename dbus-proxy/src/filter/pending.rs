//! Calls that wait for their replies.
//!
//! Names are kept as keyed hashes: an entry has one size whatever a client calls its peers, and
//! without the key nobody can look for two names with the same hash.

use std::{
    collections::{HashMap, HashSet},
    hash::{BuildHasher, RandomState},
    num::NonZeroU32,
};

use super::{driver_call::DRIVER, verdict::Refusal};

pub(super) type NameHash = u64;

#[derive(Debug, Default)]
pub(super) struct NameHasher(RandomState);

impl NameHasher {
    pub(super) fn hash(&self, name: &str) -> NameHash {
        self.0.hash_one(name)
    }
}

/// What a call asked the bus driver for, as far as its answer has to be looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Question {
    /// The answer passes as it is.
    #[default]
    Other,
    /// A list of names.
    Names,
    /// The owner of a name.
    Owner,
}

/// Calls of the container, by their serial.
#[derive(Debug, Default)]
pub(super) struct OutgoingCalls(HashMap<NonZeroU32, OutgoingCall>);

#[derive(Debug)]
struct OutgoingCall {
    /// The peer if the call names a connection. Calls to a well-known name are answered by the
    /// connection that owns it, which the bus sees to.
    peer: Option<NameHash>,
    question: Question,
}

impl OutgoingCalls {
    pub(super) fn insert(
        &mut self,
        hasher: &NameHasher,
        serial: NonZeroU32,
        destination: Option<&str>,
        question: Question,
        limit: usize,
    ) -> Result<(), Refusal> {
        if self.0.contains_key(&serial) {
            return Err(Refusal::SerialInUse);
        }
        if self.0.len() >= limit {
            return Err(Refusal::TooManyCalls);
        }
        let unique = destination.filter(|name| name.starts_with(':') || *name == DRIVER);
        let peer = unique.map(|name| hasher.hash(name));
        self.0.insert(serial, OutgoingCall { peer, question });
        Ok(())
    }

    /// What the call with this serial asked for.
    pub(super) fn question(&self, serial: NonZeroU32) -> Question {
        self.0
            .get(&serial)
            .map_or(Question::Other, |call| call.question)
    }

    /// Whether `sender` may reply to the call with this serial, which it then has done.
    pub(super) fn remove(
        &mut self,
        hasher: &NameHasher,
        serial: NonZeroU32,
        sender: Option<&str>,
    ) -> bool {
        let Some(call) = self.0.get(&serial) else {
            return false;
        };
        let right = match (call.peer, sender) {
            (_, None) => false,
            (None, Some(_)) | (Some(_), Some(DRIVER)) => true,
            (Some(expected), Some(sender)) => expected == hasher.hash(sender),
        };
        if right {
            self.0.remove(&serial);
            if self.0.is_empty() {
                // What a burst of calls has taken is given back.
                self.0.shrink_to(64);
            }
        }
        right
    }
}

/// Calls to the container, by caller and serial.
#[derive(Debug, Default)]
pub(super) struct IncomingCalls(HashSet<(NameHash, NonZeroU32)>);

impl IncomingCalls {
    pub(super) fn insert(
        &mut self,
        hasher: &NameHasher,
        caller: &str,
        serial: NonZeroU32,
        limit: usize,
    ) -> Result<(), Refusal> {
        let key = (hasher.hash(caller), serial);
        if self.0.contains(&key) {
            return Err(Refusal::SerialInUse);
        }
        if self.0.len() >= limit {
            return Err(Refusal::TooManyCalls);
        }
        self.0.insert(key);
        Ok(())
    }

    /// Whether the call of `caller` with this serial may be replied to, which now has been done.
    pub(super) fn remove(&mut self, hasher: &NameHasher, caller: &str, serial: NonZeroU32) -> bool {
        let removed = self.0.remove(&(hasher.hash(caller), serial));
        if removed && self.0.is_empty() {
            self.0.shrink_to(64);
        }
        removed
    }
}
