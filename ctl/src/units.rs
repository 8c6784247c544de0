//! Amounts and times, as people read them.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Bytes, with three digits at most: `12.3M`.
pub fn bytes(amount: u64) -> String {
    const UNITS: [&str; 6] = ["", "K", "M", "G", "T", "P"];
    let mut tenths = u128::from(amount) * 10;
    let mut unit = 0;
    while tenths >= 10_000 && unit + 1 < UNITS.len() {
        tenths /= 1024;
        unit += 1;
    }
    match (unit, tenths) {
        (0, _) | (_, 1000..) => format!("{}{}", tenths / 10, UNITS[unit]),
        _ => format!("{}.{}{}", tenths / 10, tenths % 10, UNITS[unit]),
    }
}

/// How long ago that was, in microseconds since 1970.
pub fn age(since: u64) -> String {
    let since = UNIX_EPOCH + Duration::from_micros(since);
    let passed = SystemTime::now().duration_since(since).unwrap_or_default();
    in_words(passed.as_secs())
}

/// The time of the day, UTC, in microseconds since 1970.
pub fn clock(microseconds: u64) -> String {
    let seconds = microseconds / 1_000_000 % 86400;
    let (hours, minutes) = (seconds / 3600, seconds / 60 % 60);
    format!("{hours:02}:{minutes:02}:{:02}", seconds % 60)
}

/// Now, in microseconds since 1970.
pub fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    u64::try_from(since.unwrap_or_default().as_micros()).unwrap_or(u64::MAX)
}

/// A time span, with two units at most.
pub fn in_words(seconds: u64) -> String {
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3600 => format!("{}m{}s", seconds / 60, seconds % 60),
        3600..86400 => format!("{}h{}m", seconds / 3600, seconds / 60 % 60),
        _ => format!("{}d{}h", seconds / 86400, seconds / 3600 % 24),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_age_has_two_units_at_most() {
        assert_eq!(in_words(59), "59s");
        assert_eq!(in_words(61), "1m1s");
        assert_eq!(in_words(2 * 3600 + 5 * 60), "2h5m");
        assert_eq!(in_words(3 * 86400 + 3600), "3d1h");
    }

    #[test]
    fn an_amount_has_three_digits_or_four() {
        for (amount, text) in [
            (0, "0"),
            (999, "999"),
            (1000, "0.9K"),
            (1536, "1.5K"),
            (100 << 20, "100M"),
            (999 << 20, "999M"),
            (u64::MAX, "16383P"),
        ] {
            assert_eq!(bytes(amount), text, "{amount}");
        }
    }

    #[test]
    fn a_time_of_the_day() {
        assert_eq!(
            clock((86400 + 3 * 3600 + 4 * 60 + 5) * 1_000_000),
            "03:04:05"
        );
    }
}
