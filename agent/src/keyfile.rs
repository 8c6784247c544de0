//! GLib's key-file syntax: `[group]`, `key = value` and `#` comments.
//!
//! What GLib accepts is accepted: spaces around keys and values, escapes in strings, CR LF line
//! ends, a group that comes again, and of equal keys the last one. Every entry keeps its line, so
//! that what uses the value can tell where it stands.

/// The contents of a key file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KeyFile {
    /// Groups, also those without keys, in the order of the text; one that comes again is here
    /// again.
    pub groups: Vec<Group>,
    /// Keys of all groups, in the order of the text.
    pub entries: Vec<Entry>,
}

/// The start of a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// Its name, without brackets.
    pub name: String,
    /// Line, counted from 1.
    pub line: usize,
}

/// A key with its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Name of the group, without brackets.
    pub group: String,
    /// The key.
    pub key: String,
    /// The value as written, without spaces around it; see [`unescape`].
    pub value: String,
    /// Line, counted from 1.
    pub line: usize,
}

/// A line that is no key-file syntax.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SyntaxError {
    /// Line, counted from 1.
    pub line: usize,
    /// What is wrong with it.
    pub problem: Problem,
}

/// The kinds of syntax errors.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Problem {
    /// The text is not UTF-8.
    #[error("is not UTF-8")]
    NotUtf8,
    /// A line starts a group but does not end with a bracket, or has no or a bad name in the
    /// brackets.
    #[error("is not a group such as [SoftwareContainer]")]
    BadGroup,
    /// A line is a comment of another syntax.
    #[error("is a comment of another syntax; here a comment is a line that begins with #")]
    OtherComment,
    /// A line is neither a group, nor a comment, nor a key with a value.
    #[error("is neither \"key = value\", nor a [group], nor a # comment")]
    NoKeyValue,
    /// A key stands before the first group.
    #[error("stands before the first [group]")]
    NoGroup,
}

/// Reads a key file.
///
/// # Errors
/// The first line that is no key-file syntax.
pub fn parse(source: &[u8]) -> Result<KeyFile, SyntaxError> {
    // Editors of some systems put a byte order mark before UTF-8.
    let source = source.strip_prefix(b"\xef\xbb\xbf").unwrap_or(source);
    let text = std::str::from_utf8(source).map_err(|e| SyntaxError {
        line: 1 + source
            .iter()
            .take(e.valid_up_to())
            .filter(|&&b| b == b'\n')
            .count(),
        problem: Problem::NotUtf8,
    })?;
    let mut file = KeyFile::default();
    for (index, line) in text.lines().enumerate() {
        let number = index + 1;
        let line = line.trim_matches(is_space);
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let error = |problem| SyntaxError {
            line: number,
            problem,
        };
        if let Some(rest) = line.strip_prefix('[') {
            let name = group_name(rest).ok_or_else(|| error(Problem::BadGroup))?;
            file.groups.push(Group {
                name: name.to_owned(),
                line: number,
            });
            continue;
        }
        if line.starts_with(';') || line.starts_with("//") {
            return Err(error(Problem::OtherComment));
        }
        let (key, value) = line
            .split_once('=')
            .ok_or_else(|| error(Problem::NoKeyValue))?;
        let key = key.trim_end_matches(is_space);
        if key.is_empty() {
            return Err(error(Problem::NoKeyValue));
        }
        let group = file.groups.last().ok_or_else(|| error(Problem::NoGroup))?;
        file.entries.push(Entry {
            group: group.name.clone(),
            key: key.to_owned(),
            value: value.trim_start_matches(is_space).to_owned(),
            line: number,
        });
    }
    Ok(file)
}

/// What GLib counts as space; not all that Unicode does.
fn is_space(c: char) -> bool {
    c.is_ascii_whitespace()
}

fn group_name(after_bracket: &str) -> Option<&str> {
    let name = after_bracket.strip_suffix(']')?;
    let valid =
        !name.is_empty() && !name.contains(|c: char| c == '[' || c == ']' || c.is_control());
    valid.then_some(name)
}

/// Replaces the escapes of a string value: `\s` (space), `\n`, `\t`, `\r` and `\\`. `None` when
/// another one stands in it.
#[must_use]
pub fn unescape(value: &str) -> Option<String> {
    let mut out = String::with_capacity(value.len());
    let mut chars = value.chars();
    while let Some(c) = chars.next() {
        out.push(match c {
            '\\' => match chars.next()? {
                's' => ' ',
                'n' => '\n',
                't' => '\t',
                'r' => '\r',
                '\\' => '\\',
                _ => return None,
            },
            c => c,
        });
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn entry(group: &str, key: &str, value: &str, line: usize) -> Entry {
        Entry {
            group: group.into(),
            key: key.into(),
            value: value.into(),
            line,
        }
    }

    #[test]
    fn reads_groups_keys_and_comments() {
        let source = b"# c\n\n[A]\nx=1\n  y  =  a = b  \r\n  # d\n[B b]\nz=\n[A]\nx=2";
        let expected = vec![
            entry("A", "x", "1", 4),
            entry("A", "y", "a = b", 5),
            entry("B b", "z", "", 8),
            entry("A", "x", "2", 10),
        ];
        let file = parse(source).unwrap();
        assert_eq!(file.entries, expected);
        let groups: Vec<(&str, usize)> = file
            .groups
            .iter()
            .map(|g| (g.name.as_str(), g.line))
            .collect();
        assert_eq!(groups, [("A", 3), ("B b", 7), ("A", 9)]);
    }

    #[test]
    fn a_hash_after_a_value_belongs_to_it_as_in_glib() {
        assert_eq!(
            parse(b"[A]\nx = 1 # one").unwrap().entries[0].value,
            "1 # one"
        );
    }

    #[test]
    fn a_byte_order_mark_is_no_part_of_the_first_line() {
        let file = parse(b"\xef\xbb\xbf[A]\nx = 1").unwrap();
        assert_eq!(file.entries, [entry("A", "x", "1", 2)]);
    }

    #[test]
    fn tells_the_line_of_what_is_no_key_file() {
        for (source, line, problem) in [
            (&b"[A]\nx"[..], 2, Problem::NoKeyValue),
            (b"[A]\n=1", 2, Problem::NoKeyValue),
            (b"\nx=1", 2, Problem::NoGroup),
            (b"[A", 1, Problem::BadGroup),
            (b"[A] x", 1, Problem::BadGroup),
            (b"[]", 1, Problem::BadGroup),
            (b"[A[B]", 1, Problem::BadGroup),
            (b"; c", 1, Problem::OtherComment),
            (b"[A]\n// x = 1", 2, Problem::OtherComment),
            (b"[A]\nx=1\ny=\xff\n", 3, Problem::NotUtf8),
        ] {
            assert_eq!(
                parse(source),
                Err(SyntaxError { line, problem }),
                "{source:?}"
            );
        }
    }

    #[test]
    fn escapes_are_those_of_glib() {
        assert_eq!(unescape(r"\sa\\b\n\t\r"), Some(" a\\b\n\t\r".to_owned()));
        assert_eq!(unescape(r"a\q"), None);
        assert_eq!(unescape("a\\"), None);
    }

    proptest! {
        #[test]
        fn any_bytes_are_entries_or_an_error_with_a_line_of_the_text(source: Vec<u8>) {
            let lines = source.iter().filter(|&&b| b == b'\n').count() + 1;
            match parse(&source) {
                Ok(file) => prop_assert!(file.entries.iter().all(|e| e.line <= lines)),
                Err(error) => prop_assert!(error.line <= lines),
            }
        }

        #[test]
        fn what_is_written_is_read(values in prop::collection::vec("[!-~]([ -~]*[!-~])?", 1..9)) {
            let source = values.iter().fold("[G]\n".to_owned(), |text, value| text + " k = " + value + " \n");
            let read: Vec<String> = parse(source.as_bytes()).unwrap().entries.into_iter().map(|e| e.value).collect();
            prop_assert_eq!(read, values);
        }
    }
}
