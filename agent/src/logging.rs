//! The agent's log: journald when its socket is there, else standard error.

use std::io::Write as _;

use log::{LevelFilter, Log, Metadata, Record};
use systemd_journal_logger::JournalLog;

/// The variable that chooses how much is logged: `off`, `error`, `warn`, `info`, `debug` or
/// `trace`.
const LEVEL_VARIABLE: &str = "SOFTWARECONTAINER_LOG";

struct Stderr;

impl Log for Stderr {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &Record<'_>) {
        // Nowhere is left to report a broken standard error to.
        let _ = writeln!(std::io::stderr(), "{}: {}", record.level(), record.args());
    }

    fn flush(&self) {}
}

/// Starts logging. Standard error is used when it is no journal stream, so that a person who runs
/// the agent sees its log.
pub fn start() {
    let asked = std::env::var_os(LEVEL_VARIABLE).filter(|text| !text.is_empty());
    let level: Option<LevelFilter> = asked.as_ref().and_then(|text| text.to_str()?.parse().ok());
    let journal = if systemd_journal_logger::connected_to_journal() {
        JournalLog::new().ok()
    } else {
        None
    };
    let installed = match journal {
        Some(journal) => journal.install(),
        None => log::set_logger(&Stderr),
    };
    if installed.is_ok() {
        log::set_max_level(level.unwrap_or(LevelFilter::Info));
    }
    if let (Some(asked), None) = (asked, level) {
        log::warn!(
            "{LEVEL_VARIABLE}: {asked:?} is none of off, error, warn, info, debug, trace; info counts"
        );
    }
}
