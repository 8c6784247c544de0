//! A limit on the lines of a kind that a log gets: some at once, then one now and then.

use std::time::{Duration, Instant};

/// Lines that may be written at once, and the time after which another one may.
const BURST: u32 = 20;
const PAUSE: Duration = Duration::from_secs(5);

/// Counts lines.
#[derive(Debug, Default)]
pub(crate) struct LogRate {
    written: u32,
    suppressed: u64,
    since: Option<Instant>,
}

impl LogRate {
    /// Whether a line may be written now: then, how many were not since the last one.
    pub(crate) fn admit(&mut self) -> Option<u64> {
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
            return None;
        }
        self.written += 1;
        Some(std::mem::take(&mut self.suppressed))
    }
}
