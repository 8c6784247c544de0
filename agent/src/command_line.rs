//! Splits the command line of `Execute` into words as a POSIX shell does, with quotes and
//! backslashes but no expansion.
//!
//! Own code rather than the `shell-words` crate: that one lets a trailing backslash pass, and drops
//! what follows a `#` as a comment, where a launcher that passes `--color #ff0000` means an
//! argument.

/// A command line that has no words or cannot be split.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SplitError {
    /// There is no command, or its name is empty.
    #[error("the command is empty")]
    Empty,
    /// A quote that starts at this byte is not closed.
    #[error("the quote {quote} at byte {at} is not closed")]
    Unbalanced {
        /// The quote.
        quote: char,
        /// Its place, in bytes from the start.
        at: usize,
    },
    /// The line ends with a backslash that escapes nothing.
    #[error("there is nothing after the last backslash")]
    TrailingBackslash,
    /// The line contains a NUL character, which no argument can have.
    #[error("it contains a NUL character")]
    Nul,
}

/// The words of `line`; the first one is the command and is not empty.
///
/// # Errors
/// No command, a quote that is not closed, a backslash at the end, a NUL.
pub fn split(line: &str) -> Result<Vec<String>, SplitError> {
    if line.contains('\0') {
        return Err(SplitError::Nul);
    }
    let mut words = Vec::new();
    // `None` between words: an empty pair of quotes makes a word, spaces do not.
    let mut word: Option<String> = None;
    let mut chars = line.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            ' ' | '\t' | '\n' => words.extend(word.take()),
            '\'' => single_quoted(&mut chars, at, word.get_or_insert_default())?,
            '"' => double_quoted(&mut chars, at, word.get_or_insert_default())?,
            '\\' => match chars.next() {
                None => return Err(SplitError::TrailingBackslash),
                Some((_, '\n')) => {}
                Some((_, escaped)) => word.get_or_insert_default().push(escaped),
            },
            c => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    match words.first() {
        Some(command) if !command.is_empty() => Ok(words),
        _ => Err(SplitError::Empty),
    }
}

fn single_quoted(
    chars: &mut std::str::CharIndices<'_>,
    at: usize,
    word: &mut String,
) -> Result<(), SplitError> {
    for (_, c) in chars {
        if c == '\'' {
            return Ok(());
        }
        word.push(c);
    }
    Err(SplitError::Unbalanced { quote: '\'', at })
}

/// Between double quotes a backslash counts only before `"`, `\`, `$`, a backquote and a line end.
fn double_quoted(
    chars: &mut std::str::CharIndices<'_>,
    at: usize,
    word: &mut String,
) -> Result<(), SplitError> {
    while let Some((_, c)) = chars.next() {
        match c {
            '"' => return Ok(()),
            '\\' => match chars.next() {
                None => break,
                Some((_, '\n')) => {}
                Some((_, escaped @ ('"' | '\\' | '$' | '`'))) => word.push(escaped),
                Some((_, other)) => word.extend(['\\', other]),
            },
            c => word.push(c),
        }
    }
    Err(SplitError::Unbalanced { quote: '"', at })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::process::Command;

    fn words(line: &str) -> Vec<String> {
        split(line).unwrap()
    }

    #[test]
    fn splits_at_blanks_outside_of_quotes() {
        assert_eq!(
            words("  /bin/a \t b\n'c d' \"e  f\" "),
            ["/bin/a", "b", "c d", "e  f"]
        );
        assert_eq!(
            words("\"/bin/a\" \"--x\" \"y z\""),
            ["/bin/a", "--x", "y z"]
        );
        assert_eq!(words("a '' \"\""), ["a", "", ""]);
        assert_eq!(words("a'b'\"c\"d"), ["abcd"]);
    }

    #[test]
    fn nothing_is_expanded() {
        assert_eq!(
            words("a $HOME * `b` ~ #c ; | & > \"$(d)\""),
            [
                "a", "$HOME", "*", "`b`", "~", "#c", ";", "|", "&", ">", "$(d)"
            ]
        );
    }

    #[test]
    fn a_line_without_a_command_is_refused() {
        for line in ["", "  \t\n", "''", "\"\" a", "\\\n"] {
            assert_eq!(split(line), Err(SplitError::Empty), "{line:?}");
        }
    }

    #[test]
    fn an_open_quote_is_refused_with_its_place() {
        assert_eq!(
            split("a 'b"),
            Err(SplitError::Unbalanced { quote: '\'', at: 2 })
        );
        assert_eq!(
            split("a \"b\\"),
            Err(SplitError::Unbalanced { quote: '"', at: 2 })
        );
        assert_eq!(
            split("a \"b\\\""),
            Err(SplitError::Unbalanced { quote: '"', at: 2 })
        );
        assert_eq!(
            split("it's").unwrap_err().to_string(),
            "the quote ' at byte 2 is not closed"
        );
        assert_eq!(split("a \\"), Err(SplitError::TrailingBackslash));
        assert_eq!(split("a\0b"), Err(SplitError::Nul));
    }

    /// What the shell makes of a line, or `None` if it refuses it.
    fn by_the_shell(line: &str) -> Option<Vec<String>> {
        let script = format!("printf '%s\\0' {line}\n");
        let output = Command::new("/bin/sh")
            .args(["-c", &script])
            .output()
            .unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        output
            .status
            .success()
            .then(|| text.split_terminator('\0').map(str::to_owned).collect())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(500))]

        /// The lines start with a word and have nothing in them that a shell would expand or take
        /// for an operator.
        #[test]
        fn words_are_those_of_the_shell(rest in r#"[ab \t'"\\é]{0,24}"#) {
            let line = format!("x{rest}");
            match split(&line) {
                Ok(words) => prop_assert_eq!(Some(words), by_the_shell(&line)),
                // Shells differ in what a backslash at the end means.
                Err(SplitError::TrailingBackslash) => {}
                Err(_) => prop_assert_eq!(None, by_the_shell(&line)),
            }
        }
    }

    proptest! {
        #[test]
        fn quoted_words_come_back_as_they_were(words in prop::collection::vec("[^\0]{1,12}", 1..6)) {
            let single: Vec<String> = words.iter().map(|w| format!("'{}'", w.replace('\'', "'\\''"))).collect();
            prop_assert_eq!(split(&single.join(" ")), Ok(words.clone()));
            let double: Vec<String> = words.iter().map(|w| format!("\"{}\"", w.replace('\\', "\\\\").replace('"', "\\\""))).collect();
            prop_assert_eq!(split(&double.join(" ")), Ok(words));
        }

        #[test]
        fn any_line_is_split_or_refused(line: String) {
            if let Ok(words) = split(&line) {
                prop_assert!(!words[0].is_empty());
                prop_assert!(words.iter().all(|w| !w.contains('\0')));
            }
        }
    }
}
