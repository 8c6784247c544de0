//! Calls that wait for their replies.
//!
//! Names are kept as keyed hashes: an entry has one size whatever a client calls its peers, and
//! without the key nobody can look for two names with the same hash.

use std::{
    collections::{HashMap, HashSet},
    hash::{BuildHasher, RandomState},
    num::NonZeroU32,
};

use super::{DRIVER, Refusal};
use crate::limits;

type NameHash = u64;

#[derive(Debug, Default)]
pub(super) struct NameHasher(RandomState);

impl NameHasher {
    fn hash(&self, name: &str) -> NameHash {
        self.0.hash_one(name)
    }
}

/// Calls of the container, by their serial, with the peer if they name a connection. Calls to a
/// well-known name are answered by the connection that owns it, which the bus sees to.
#[derive(Debug, Default)]
pub(super) struct OutgoingCalls(HashMap<NonZeroU32, Option<NameHash>>);

impl OutgoingCalls {
    pub(super) fn insert(
        &mut self,
        hasher: &NameHasher,
        serial: NonZeroU32,
        destination: Option<&str>,
    ) -> Result<(), Refusal> {
        if self.0.contains_key(&serial) {
            return Err(Refusal::SerialInUse);
        }
        if self.0.len() >= limits::PENDING_CALLS {
            return Err(Refusal::TooManyCalls);
        }
        let unique = destination.filter(|name| name.starts_with(':') || *name == DRIVER);
        self.0.insert(serial, unique.map(|name| hasher.hash(name)));
        Ok(())
    }

    /// Whether `sender` may reply to the call with this serial, which it then has done.
    pub(super) fn remove(
        &mut self,
        hasher: &NameHasher,
        serial: NonZeroU32,
        sender: Option<&str>,
    ) -> bool {
        let Some(expected) = self.0.get(&serial) else {
            return false;
        };
        let right = match (expected, sender) {
            (_, None) => false,
            (None, Some(_)) | (Some(_), Some(DRIVER)) => true,
            (Some(expected), Some(sender)) => *expected == hasher.hash(sender),
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
    ) -> Result<(), Refusal> {
        let key = (hasher.hash(caller), serial);
        if self.0.contains(&key) {
            return Err(Refusal::SerialInUse);
        }
        if self.0.len() >= limits::PENDING_CALLS {
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
