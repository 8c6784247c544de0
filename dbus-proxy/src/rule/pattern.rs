//! Glob patterns.

/// A glob: `*` stands for any run of characters, `?` for one; all else stands for itself.
/// An empty pattern matches nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    text: Box<str>,
    form: Form,
}

/// The common forms are told apart once, so that most messages are compared with plain strings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Nothing,
    Any,
    Exact,
    /// Text and one star at its end.
    Prefix,
    Glob,
}

impl Pattern {
    /// Makes a pattern. Every text is one.
    #[must_use]
    pub fn new(text: &str) -> Self {
        let form = if text.is_empty() {
            Form::Nothing
        } else if text.bytes().all(|byte| byte == b'*') {
            Form::Any
        } else {
            match text.find(['*', '?']) {
                None => Form::Exact,
                Some(first) if first + 1 == text.len() && text.ends_with('*') => Form::Prefix,
                Some(_) => Form::Glob,
            }
        };
        Self {
            text: text.into(),
            form,
        }
    }

    /// The text it was made from.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether it is `*`.
    #[must_use]
    pub fn is_any(&self) -> bool {
        self.form == Form::Any
    }

    /// Whether it is `value`, without a wildcard.
    #[must_use]
    pub fn is_exactly(&self, value: &str) -> bool {
        self.form == Form::Exact && *self.text == *value
    }

    /// Whether it matches the whole of `value`. Takes time proportional to the product of both
    /// lengths at most.
    #[must_use]
    pub fn matches(&self, value: &str) -> bool {
        match self.form {
            Form::Nothing => false,
            Form::Any => true,
            Form::Exact => *self.text == *value,
            Form::Prefix => {
                let prefix = self.text.strip_suffix('*');
                prefix.is_some_and(|prefix| value.starts_with(prefix))
            }
            Form::Glob => glob(&self.text, value),
        }
    }
}

/// Matches greedily and goes back only to the last star: stars before it need no second try.
fn glob(pattern: &str, value: &str) -> bool {
    let mut pattern = pattern.chars();
    let mut value = value.chars();
    let mut retry = None;
    loop {
        let mut next = pattern.clone();
        match next.next() {
            Some('*') => {
                pattern = next;
                retry = Some((pattern.clone(), value.clone()));
                continue;
            }
            None if value.as_str().is_empty() => return true,
            Some(wanted) => {
                let mut ahead = value.clone();
                if ahead
                    .next()
                    .is_some_and(|found| wanted == '?' || wanted == found)
                {
                    pattern = next;
                    value = ahead;
                    continue;
                }
            }
            None => {}
        }
        let Some((after_star, from)) = &mut retry else {
            return false;
        };
        if from.next().is_none() {
            return false;
        }
        pattern = after_star.clone();
        value = from.clone();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn stars_and_question_marks_are_wildcards_and_nothing_else_is() {
        let cases = [
            ("*", "", true),
            ("*", "a.b", true),
            ("", "", false),
            ("", "a", false),
            ("a", "a", true),
            ("a", "ab", false),
            ("a*", "a", true),
            ("a*", "abc/d", true),
            ("*c", "abc", true),
            ("*b", "abc", false),
            ("a?c", "abc", true),
            ("a?c", "ac", false),
            ("?", "ä", true),
            ("a*b*c", "axxbyybzc", true),
            ("a*b*c", "axxbyybz", false),
            ("[a]", "a", false),
            ("[a]", "[a]", true),
            ("\\*", "*", false),
            ("A", "a", false),
            ("org.*.X?", "org.a.b.X1", true),
        ];
        for (pattern, value, expected) in cases {
            assert_eq!(
                Pattern::new(pattern).matches(value),
                expected,
                "{pattern} on {value}"
            );
        }
    }

    #[test]
    fn hostile_patterns_do_not_take_exponential_time() {
        let pattern = Pattern::new(&("a*".repeat(200) + "b"));
        assert!(!pattern.matches(&"a".repeat(4000)));
    }

    /// The definition, written down plainly.
    fn reference(pattern: &[char], value: &[char]) -> bool {
        match pattern.split_first() {
            None => value.is_empty(),
            Some(('*', rest)) => (0..=value.len()).any(|skip| reference(rest, &value[skip..])),
            Some((wanted, rest)) => value.split_first().is_some_and(|(found, left)| {
                (*wanted == '?' || wanted == found) && reference(rest, left)
            }),
        }
    }

    proptest! {
        #[test]
        fn patterns_match_what_their_definition_says(pattern in "[ab*?]{1,8}", value in "[ab]{0,10}") {
            let chars: Vec<char> = pattern.chars().collect();
            let text: Vec<char> = value.chars().collect();
            prop_assert_eq!(Pattern::new(&pattern).matches(&value), reference(&chars, &text));
        }
    }
}
