//! What went wrong in a sync, and what the host cannot hold.

use crate::error::{Failure, LeftOut};

/// As many failures are kept for the report; the others are counted.
const REPORTED: usize = 8;

/// What went wrong: the first failures, and how many more there were.
#[derive(Default)]
pub struct Failures {
    /// The first ones.
    pub first: Vec<Failure>,
    /// The number of the others.
    pub more: usize,
    /// What the host cannot hold.
    pub left_out: LeftOut,
}

impl Failures {
    /// Records a failure that the rest of an entry does not depend on.
    pub fn tolerate(&mut self, result: Result<(), Failure>) -> Result<(), Failure> {
        match result {
            Err(failure) if failure.is_unrepresentable() => {
                self.note(Err(failure));
                Ok(())
            }
            result => result,
        }
    }

    /// Records the failure, if there is one; the sync goes on with what does not depend on it.
    pub fn note(&mut self, result: Result<(), Failure>) {
        match result {
            Ok(()) => {}
            Err(failure) if failure.is_unrepresentable() => {
                if self.left_out.first.len() < REPORTED {
                    self.left_out.first.push(failure);
                } else {
                    self.left_out.more += 1;
                }
            }
            Err(failure) if self.first.len() < REPORTED => self.first.push(failure),
            Err(_) => self.more += 1,
        }
    }
}
