//! How often the same thing is set up again when somebody takes it away again and again.

use std::time::{Duration, Instant};

/// How many times within [`CALM`] it is set up again at once.
const AT_ONCE: u32 = 20;
/// The pause after that; doubled each time up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(4);
/// After this time without a loss everything is as at first; longer than the longest pause, or each
/// pause would be such a time.
const CALM: Duration = Duration::from_secs(60);

/// The repairs of one kind of thing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Pace {
    count: u32,
    last: Option<Instant>,
}

/// What a repair is, in the row of those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    /// One of few.
    Single,
    /// The last one before pauses begin, and how many there were.
    Fight(u32),
    /// One in a fight that was told of.
    Again,
}

impl Pace {
    /// When the next repair may be; a time that is over means now.
    pub(super) fn due(&self) -> Option<Instant> {
        self.last.map(|last| last + self.pause())
    }

    /// The pause before the next repair.
    pub(super) fn pause(&self) -> Duration {
        match self.count.checked_sub(AT_ONCE) {
            None => Duration::ZERO,
            Some(more) => FIRST_PAUSE
                .saturating_mul(1 << more.min(10))
                .min(LONGEST_PAUSE),
        }
    }

    /// Takes in a repair.
    pub(super) fn repaired(&mut self, now: Instant) -> Turn {
        if self
            .last
            .is_some_and(|last| now.duration_since(last) > CALM)
        {
            self.count = 0;
        }
        self.last = Some(now);
        self.count = self.count.saturating_add(1);
        match self.count {
            AT_ONCE => Turn::Fight(self.count),
            more if more > AT_ONCE => Turn::Again,
            _ => Turn::Single,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_repairs_are_made_at_once_and_a_fight_is_told_of_once() {
        let now = Instant::now();
        let mut pace = Pace::default();
        assert_eq!(pace.due(), None);
        let turns: Vec<_> = (0..AT_ONCE + 3).map(|_| pace.repaired(now)).collect();
        let fights = turns.iter().filter(|turn| matches!(turn, Turn::Fight(_)));
        assert_eq!(fights.count(), 1);
        assert_eq!(turns[0], Turn::Single);
        assert_eq!(turns.last(), Some(&Turn::Again));
    }

    #[test]
    fn pauses_grow_to_a_bound() {
        let now = Instant::now();
        let mut pace = Pace::default();
        let pauses: Vec<_> = (0..AT_ONCE + 9)
            .map(|_| {
                pace.repaired(now);
                pace.due().unwrap() - now
            })
            .collect();
        assert!(pauses[..19].iter().all(Duration::is_zero), "{pauses:?}");
        assert_eq!(pauses[19..22], [500, 1000, 2000].map(Duration::from_millis));
        assert_eq!(pauses.last(), Some(&LONGEST_PAUSE));
    }

    #[test]
    fn after_a_calm_time_repairs_are_made_at_once_again() {
        let now = Instant::now();
        let mut pace = Pace::default();
        for _ in 0..AT_ONCE + 9 {
            pace.repaired(now);
        }
        let later = now + CALM + Duration::from_secs(1);
        assert_eq!(pace.repaired(later), Turn::Single);
        assert_eq!(pace.due(), Some(later));
    }
}
