//! Lines for the agent's log, few enough not to fill it.

use crate::{control::Bus, log_rate::LogRate};

/// What has happened and is worth a line.
#[derive(Debug, Default)]
pub(super) struct LogLines {
    waiting: Vec<String>,
    rate: LogRate,
}

impl LogLines {
    /// Adds a line, unless there have been many lately. What is left out costs no more than a look
    /// at the clock.
    pub(super) fn add(&mut self, bus: Bus, line: &dyn Fn() -> String) {
        let Some(suppressed) = self.rate.admit() else {
            return;
        };
        if suppressed > 0 {
            self.waiting
                .push(format!("{suppressed} similar messages were left out"));
        }
        self.waiting.push(format!("{bus} bus: {}", line()));
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
        let mut lines = LogLines::default();
        for _ in 0..10_000 {
            lines.add(Bus::System, &|| "x".into());
        }
        assert_eq!(lines.take().len(), 20);
    }
}
