//! Texts for the agent's log, few enough not to fill it.

use crate::control::Bus;
use crate::pace::Pace;

/// What has happened and is worth a line.
#[derive(Debug, Default)]
pub(super) struct Notes {
    waiting: Vec<String>,
    pace: Pace,
}

impl Notes {
    /// Adds a text, unless there have been many lately. What is left out costs no more than a look
    /// at the clock.
    pub(super) fn add(&mut self, bus: Bus, text: &dyn Fn() -> String) {
        let Some(suppressed) = self.pace.admit() else {
            return;
        };
        if suppressed > 0 {
            self.waiting
                .push(format!("{suppressed} similar messages were left out"));
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
