//! Names that a connection has to do with although no rule is about them: its own, and those of
//! peers that it exchanged messages with.

use std::collections::{HashSet, VecDeque};

use super::pending::{NameHash, NameHasher};
use crate::limits;

/// Names as hashes, the oldest first.
#[derive(Debug, Default)]
pub(super) struct KnownNames {
    order: VecDeque<NameHash>,
    all: HashSet<NameHash>,
}

impl KnownNames {
    pub(super) fn contains(&self, hasher: &NameHasher, name: &str) -> bool {
        self.all.contains(&hasher.hash(name))
    }

    pub(super) fn insert(&mut self, hasher: &NameHasher, name: &str) {
        let hash = hasher.hash(name);
        // Most messages come from the same peer as the one before.
        if self.order.back() == Some(&hash) || !self.all.insert(hash) {
            return;
        }
        self.order.push_back(hash);
        if self.order.len() > limits::KNOWN_NAMES
            && let Some(oldest) = self.order.pop_front()
        {
            self.all.remove(&oldest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_latest_names_are_remembered() {
        let (hasher, mut names) = (NameHasher::default(), KnownNames::default());
        for number in 0..=limits::KNOWN_NAMES {
            names.insert(&hasher, &format!(":1.{number}"));
            names.insert(&hasher, &format!(":1.{number}"));
        }
        assert!(!names.contains(&hasher, ":1.0"));
        assert!(names.contains(&hasher, ":1.1"));
        assert_eq!(names.all.len(), names.order.len());
    }
}
