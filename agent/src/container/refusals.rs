//! What apps of a container wanted and did not get: for people who wonder why an app does not work.
//!
//! Apps decide what is counted here, so there are bounds for everything.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant, SystemTime},
};

/// How many different things are counted; what comes after them is one.
const MOST: usize = 128;
/// How many characters of one are kept.
const LONGEST: usize = 300;
/// What stands for everything after [`MOST`] things.
const OTHERS: &str = "others";
/// How long the same is not said again in the log.
const PAUSE: Duration = Duration::from_secs(60);

/// Something that was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The gateway that could allow it.
    pub gateway: &'static str,
    /// What it was.
    pub what: String,
    /// How often.
    pub count: u64,
    /// When it was last refused.
    pub last: SystemTime,
}

/// What becomes of one more refusal.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Counted {
    /// What it was, as it is kept.
    pub(super) what: String,
    /// How often it was refused by now.
    pub(super) count: u64,
    /// How often it was since the log last had it, if it is to have it now.
    pub(super) to_log: Option<u64>,
}

#[derive(Debug)]
struct Entry {
    count: u64,
    last: SystemTime,
    logged: Instant,
    unlogged: u64,
}

/// All that was refused.
#[derive(Debug, Default)]
pub(super) struct Refusals(BTreeMap<(&'static str, String), Entry>);

impl Refusals {
    /// One more.
    pub(super) fn count(&mut self, gateway: &'static str, what: &str, now: Instant) -> Counted {
        let mut what: String = what.chars().take(LONGEST).collect();
        if self.0.len() >= MOST && !self.0.contains_key(&(gateway, what.clone())) {
            OTHERS.clone_into(&mut what);
        }
        let key = (gateway, what.clone());
        let is_new = !self.0.contains_key(&key);
        let entry = self.0.entry(key).or_insert(Entry {
            count: 0,
            last: SystemTime::now(),
            logged: now,
            unlogged: 0,
        });
        entry.count = entry.count.saturating_add(1);
        entry.unlogged = entry.unlogged.saturating_add(1);
        entry.last = SystemTime::now();
        let is_due = is_new || now.duration_since(entry.logged) >= PAUSE;
        let to_log = is_due.then(|| {
            entry.logged = now;
            std::mem::take(&mut entry.unlogged)
        });
        Counted {
            what,
            count: entry.count,
            to_log,
        }
    }

    /// All, the last one first.
    pub(super) fn all(&self) -> Vec<Refusal> {
        let all = self.0.iter().map(|((gateway, what), entry)| Refusal {
            gateway,
            what: what.clone(),
            count: entry.count,
            last: entry.last,
        });
        let mut all: Vec<_> = all.collect();
        all.sort_by_key(|it| std::cmp::Reverse(it.last));
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_log_has_the_same_at_most_once_a_minute_with_the_number_of_times() {
        let mut refusals = Refusals::default();
        let start = Instant::now();
        let mut logged = Vec::new();
        for second in 0..120 {
            let now = start + Duration::from_secs(second);
            let counted = refusals.count("dbus", "a call", now);
            assert_eq!(counted.count, second + 1);
            logged.extend(counted.to_log.map(|times| (second, times)));
        }
        assert_eq!(logged, [(0, 1), (60, 60)]);
        assert_eq!(refusals.all()[0].count, 120);
    }

    #[test]
    fn what_an_app_can_make_up_is_bounded() {
        let mut refusals = Refusals::default();
        let now = Instant::now();
        for number in 0..1000 {
            let what = format!("{number}{}", "x".repeat(5000));
            refusals.count("dbus", &what, now);
        }
        let all = refusals.all();
        assert_eq!(all.len(), MOST + 1);
        assert!(all.iter().all(|it| it.what.len() <= LONGEST));
        let others = all.iter().find(|it| it.what == OTHERS).unwrap();
        assert_eq!(others.count, 1000 - MOST as u64);
    }
}
