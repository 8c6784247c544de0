//! Sizes as people write them: a number of bytes with an optional suffix.

/// A text that is no size.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SizeError {
    /// It is something else.
    #[error("is not a number of bytes")]
    NoNumber,
    /// It does not fit.
    #[error("is more than 2^64 bytes")]
    TooLarge,
}

/// Reads digits with one of the suffixes k, K, m, M, g and G for powers of 1024.
///
/// # Errors
/// What is wrong with it, as the end of a sentence.
pub fn parse(text: &str) -> Result<u64, SizeError> {
    let (digits, shift) = match text.as_bytes().last() {
        Some(b'k' | b'K') => (&text[..text.len() - 1], 10),
        Some(b'm' | b'M') => (&text[..text.len() - 1], 20),
        Some(b'g' | b'G') => (&text[..text.len() - 1], 30),
        _ => (text, 0),
    };
    // `parse` alone would take a sign.
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Err(SizeError::NoNumber);
    }
    digits
        .parse::<u64>()
        .ok()
        .and_then(|number| number.checked_mul(1 << shift))
        .ok_or(SizeError::TooLarge)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn suffixes_are_powers_of_1024_in_either_case() {
        for (text, bytes) in [
            ("0", 0),
            ("7k", 7 << 10),
            ("7K", 7 << 10),
            ("64M", 64 << 20),
            ("2g", 2 << 30),
        ] {
            assert_eq!(parse(text), Ok(bytes), "{text}");
        }
    }

    #[test]
    fn what_is_no_size_is_refused() {
        for text in ["", "k", "-1", "+1", "1kb", "1 M", "1.5G", "M1", "\u{e9}"] {
            assert_eq!(parse(text), Err(SizeError::NoNumber), "{text}");
        }
        for text in ["18446744073709551616", "17179869184G"] {
            assert_eq!(parse(text), Err(SizeError::TooLarge), "{text}");
        }
    }
}
