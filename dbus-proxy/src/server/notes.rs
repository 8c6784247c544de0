//! Texts for the agent's log, few enough not to fill it.

use std::time::{Duration, Instant};

use crate::control::Bus;

/// Texts that may be written at once, and the time after which another one may.
const BURST: u32 = 20;
const PAUSE: Duration = Duration::from_secs(5);

/// What has happened and is worth a line.
#[derive(Debug, Default)]
pub(super) struct Notes {
    waiting: Vec<String>,
    written: u32,
    suppressed: u64,
    since: Option<Instant>,
}

impl Notes {
    /// Adds a text, unless there have been many lately. What is left out costs no more than a look at the clock.
    pub(super) fn add(&mut self, bus: Bus, text: &dyn Fn() -> String) {
        let now = Instant::now();
        let since = *self.since.get_or_insert(now);
        let pauses = now.duration_since(since).as_secs() / PAUSE.as_secs();
        if pauses > 0 {
            let earned = u32::try_from(pauses).unwrap_or(u32::MAX);
            self.written = self.written.saturating_sub(earned);
            self.since = Some(now);
        }
        if self.written >= BURST {
            self.suppressed += 1;
            return;
        }
        self.written += 1;
        if self.suppressed > 0 {
            self.waiting.push(format!(
                "{} similar messages were left out",
                self.suppressed
            ));
            self.suppressed = 0;
        }
        self.waiting.push(format!("{bus} bus: {}", text()));
    }

    /// What is to be written now.
    pub(super) fn take(&mut self) -> Vec<String> {
        std::mem::take(&mut self.waiting)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_of_refusals_does_not_flood_the_log() {
        let mut notes = Notes::default();
        for _ in 0..10_000 {
            notes.add(Bus::System, &|| "x".into());
        }
        assert_eq!(notes.take().len(), 20);
    }
}
