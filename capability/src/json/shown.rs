//! JSON values in messages.

use serde_json::Value;

/// A JSON value as it is shown in messages: on one line, without control characters, and not too
/// long.
#[must_use]
pub fn shown(value: &Value) -> String {
    const LIMIT: usize = 120;
    let mut text: String = value
        .to_string()
        .chars()
        .map(|c| if c.is_control() { '\u{fffd}' } else { c })
        .collect();
    if let Some((cut, _)) = text.char_indices().nth(LIMIT) {
        text.truncate(cut);
        text.push('…');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn long_and_unprintable_values_are_shown_short_and_printable() {
        let long = shown(&json!("ä".repeat(500)));
        assert!(long.chars().count() <= 121 && long.ends_with('…'), "{long}");
        assert_eq!(shown(&json!("a\u{1b}[0m\u{9b}")), "\"a\\u001b[0m\u{fffd}\"");
    }
}
