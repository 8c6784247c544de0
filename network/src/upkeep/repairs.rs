//! What was repaired, and what the log was told of it.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use softwarecontainer_capability::error_chain::Chain;

use super::{
    pace::{Pace, Turn},
    plan::{Kind, Loss},
};
use crate::{error::NetworkError, overlap::Used};

/// How long to wait after a repair that failed, at least.
const RETRY: Duration = Duration::from_secs(1);

/// What was repaired and reported up to now.
#[derive(Debug, Default)]
pub(crate) struct Repairs {
    paces: BTreeMap<Kind, Pace>,
    /// What is missing and could not be repaired, or is not ours to repair; each is told once.
    reported: BTreeSet<Loss>,
    conflicts: BTreeSet<Used>,
    legacy_told: bool,
}

impl Repairs {
    /// The repairs of each kind.
    pub(super) fn paces(&self) -> &BTreeMap<Kind, Pace> {
        &self.paces
    }

    /// Tells that the legacy variant of iptables(8) has come into use, once.
    pub(super) fn tell_legacy(&mut self) {
        if !std::mem::replace(&mut self.legacy_told, true) {
            log::warn!(
                "the legacy variant of iptables has been in use since the agent was started; where \
                 its rules stop what containers may do, set firewall = iptables or start the agent \
                 after them"
            );
        }
    }

    /// Tells which networks that are in use elsewhere are the containers' as well, each once.
    pub(crate) fn tell_conflicts(&mut self, device: &str, conflicts: BTreeSet<Used>) {
        for used in conflicts.difference(&self.conflicts) {
            log::warn!(
                "the network of {device} is in use elsewhere, too: {used}; what is there cannot be \
                 reached: set bridge-ip and bridge-netaddr to a network of its own, or bridge-ip = \
                 auto, and start the agent again"
            );
        }
        for used in self.conflicts.difference(&conflicts) {
            log::info!("the network of {device} is no longer in use elsewhere: {used}");
        }
        self.conflicts = conflicts;
    }

    /// Tells what was repaired, each time, unless the same was taken too often.
    pub(super) fn tell_done(&mut self, device: &str, done: &[Loss], now: Instant) {
        if done.is_empty() {
            return;
        }
        let mut turns = BTreeMap::new();
        for kind in done.iter().filter_map(|loss| loss.kind()) {
            let pace = self.paces.entry(kind).or_default();
            turns.entry(kind).or_insert_with(|| pace.repaired(now));
        }
        let single = |loss: &&Loss| {
            let turn = loss.kind().and_then(|kind| turns.get(&kind));
            turn.is_some_and(|turn| *turn != Turn::Again)
        };
        let told: Vec<String> = done.iter().filter(single).map(Loss::to_string).collect();
        if !told.is_empty() {
            log::warn!(
                "somebody has changed the network of {device}, which was set up again: {}",
                told.join(", ")
            );
        }
        for (kind, turn) in &turns {
            if let Turn::Fight(count) = turn {
                log::error!(
                    "somebody takes {kind} of {device} away again and again: set up again {count} \
                     times within short time, from now on with growing pauses and without further \
                     messages"
                );
            }
        }
    }

    /// Tells what is missing and was not repaired, once, and when it is no longer so.
    ///
    /// The result is when to try again what was ours to repair.
    pub(super) fn tell_failures(
        &mut self,
        device: &str,
        failures: &[(Loss, NetworkError)],
        now: Instant,
    ) -> Vec<Instant> {
        let mut retries = Vec::new();
        for (loss, error) in failures {
            if self.reported.insert(*loss) {
                log::error!("the network of {device}: {loss}: {}", Chain(error));
            }
            if let Some(kind) = loss.kind().filter(|_| !error.is_for_others_to_mend()) {
                let pace = self.paces.entry(kind).or_default();
                pace.repaired(now);
                retries.push(now + pace.pause().max(RETRY));
            }
        }
        let failed: BTreeSet<Loss> = failures.iter().map(|(loss, _)| *loss).collect();
        for over in self.reported.difference(&failed) {
            log::info!("the network of {device}: no longer so: {over}");
        }
        self.reported = failed;
        retries
    }
}
