//! Answers to system calls that apps may not make (seccomp_unotify(2)), and who made them.
//!
//! Each process that the agent starts brings a listener, which hears of it and of all that descends
//! from it. An app can have answers given as fast as it can wait for them, in its own time; between
//! any two the init looks after everything else.

use std::{
    collections::{HashMap, HashSet},
    os::fd::{AsFd as _, BorrowedFd, OwnedFd},
};

use crate::{
    calls::{Answer, Call},
    sys::{self, Heard},
};

/// How many calls of one process are told of.
const TOLD: usize = 64;

/// Every listener, and every process that is about to hand over one.
#[derive(Default)]
pub(crate) struct Listeners(Vec<Listener>);

struct Listener {
    /// The agent's number of the process.
    process: u32,
    /// Where the listener comes from, and then the listener itself.
    source: OwnedFd,
    is_there: bool,
    answers: HashMap<Call, i32>,
    told: HashSet<Call>,
}

/// A call that a process may not make, made for the first time.
pub(crate) struct Denial {
    pub(crate) process: u32,
    pub(crate) call: Call,
}

impl Listeners {
    /// Expects a process to hand over a listener at the other end of `source`.
    pub(crate) fn expect(&mut self, process: u32, source: OwnedFd, answers: &[Answer]) {
        let answers = answers.iter().map(|answer| (answer.call, answer.errno));
        self.0.push(Listener {
            process,
            source,
            is_there: false,
            answers: answers.collect(),
            told: HashSet::new(),
        });
    }

    /// What to wait for.
    pub(crate) fn sources(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.0.iter().map(|listener| listener.source.as_fd())
    }

    /// Serves those of [`Self::sources`] that are `ready`, one call each; what the agent does not
    /// know yet.
    pub(crate) fn serve(&mut self, ready: &[bool]) -> Vec<Denial> {
        let mut denials = Vec::new();
        let mut ready = ready.iter();
        self.0.retain_mut(|listener| {
            // What came after the wait was not waited for.
            if ready.next() != Some(&true) {
                return true;
            }
            if listener.is_there {
                listener.answer(&mut denials)
            } else {
                listener.take_over()
            }
        });
        denials
    }
}

impl Listener {
    /// False if the process has ended without one.
    fn take_over(&mut self) -> bool {
        let received = sys::receive(&self.source).ok().flatten();
        let Some(listener) = received.and_then(|(_, descriptors)| descriptors.into_iter().next())
        else {
            return false;
        };
        self.source = listener;
        self.is_there = true;
        true
    }

    /// False if nobody is left who could make a call.
    fn answer(&mut self, denials: &mut Vec<Denial>) -> bool {
        match sys::hear(&self.source) {
            Heard::Call { id, call } => {
                let errno = self.answers.get(&call).copied().unwrap_or(libc::ENOSYS);
                sys::answer(&self.source, id, errno);
                if self.told.len() < TOLD && self.told.insert(call) {
                    denials.push(Denial {
                        process: self.process,
                        call,
                    });
                }
                true
            }
            Heard::Nothing => true,
            Heard::End => false,
        }
    }
}
