//! Numbers with a meaning: amounts of memory, shares of the processor.

use crate::size::{self, SizeError};

/// An amount of memory; without a limit it is the largest of all.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Bytes {
    /// So many bytes.
    Limited(u64),
    /// As many as there are: `-1` in cgroup v1, `max` in cgroup v2.
    Unlimited,
}

impl Bytes {
    /// Reads a number, with one of the suffixes k, K, m, M, g and G for powers of 1024, or `-1`.
    ///
    /// # Errors
    /// What is wrong with it, as the end of a sentence.
    pub fn parse(text: &str) -> Result<Self, SizeError> {
        if text == "-1" {
            return Ok(Self::Unlimited);
        }
        size::parse(text).map(Self::Limited)
    }
}

/// Reads a weight for `cpu.shares`.
pub(super) fn shares(text: &str) -> Result<u64, &'static str> {
    number(text)
        .filter(|shares| *shares >= 2)
        .ok_or("is not a whole number of at least 2")
}

/// Digits only: `parse` alone would take a sign.
fn number(digits: &str) -> Option<u64> {
    digits
        .bytes()
        .all(|b| b.is_ascii_digit())
        .then(|| digits.parse().ok())
        .flatten()
}
