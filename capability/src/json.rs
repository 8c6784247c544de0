//! Places in a JSON document: the path to a value, and where in the text that value starts.

mod path;
mod scanner;
mod shown;

pub use path::{JsonPath, Step};
pub use shown::shown;

use scanner::Scanner;
use std::fmt;

/// A place in a text file, both parts counted from 1; the column counts bytes, as compilers do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// Line.
    pub line: usize,
    /// Column, in bytes.
    pub column: usize,
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.line, self.column)
    }
}

/// Where the value at `path` starts in `source`. When the path leads to nothing (a key that is
/// missing), it is where the last value on the way starts. `source` has to be valid JSON; of other
/// text the answer means little.
#[must_use]
pub fn locate(source: &[u8], path: &JsonPath) -> Position {
    // A byte order mark, which some editors write, takes no column.
    let source = source.strip_prefix(b"\xef\xbb\xbf").unwrap_or(source);
    let mut scanner = Scanner::new(source);
    let mut found = scanner.at;
    for step in &path.0 {
        let next = match step {
            Step::Key(key) => scanner.enter_member(key),
            Step::Index(index) => scanner.enter_element(*index),
        };
        let Some(start) = next else { break };
        found = start;
        scanner.at = start;
    }
    position(source, found)
}

/// The paths of keys that an object in `source` has more than once, which serde_json does not tell.
/// `source` has to be valid JSON, nested no deeper than serde_json allows.
#[must_use]
pub fn duplicate_keys(source: &[u8]) -> Vec<JsonPath> {
    let mut duplicates = Vec::new();
    Scanner::new(source).find_duplicates(&JsonPath::default(), &mut duplicates);
    duplicates
}

fn position(source: &[u8], offset: usize) -> Position {
    let before = source.get(..offset).unwrap_or(source);
    let line_start = before
        .iter()
        .rposition(|&b| b == b'\n')
        .map_or(0, |i| i + 1);
    Position {
        line: 1 + before.iter().filter(|&&b| b == b'\n').count(),
        column: 1 + before.len() - line_start,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn path(steps: &[&dyn Fn() -> Step]) -> JsonPath {
        JsonPath(steps.iter().map(|step| step()).collect())
    }

    #[test]
    fn finds_members_and_elements() {
        let source = br#"{ "a": [1, {"b]": "x,y"},
  {"c\u0064": [ ], "e": true}] }"#;
        let at = |steps: &[&dyn Fn() -> Step]| locate(source, &path(steps)).to_string();
        assert_eq!(at(&[]), "1:1");
        assert_eq!(at(&[&|| "a".into()]), "1:8");
        assert_eq!(at(&[&|| "a".into(), &|| 1.into(), &|| "b]".into()]), "1:19");
        assert_eq!(at(&[&|| "a".into(), &|| 2.into(), &|| "e".into()]), "2:25");
        assert_eq!(at(&[&|| "a".into(), &|| 2.into(), &|| "cd".into()]), "2:15");
    }

    #[test]
    fn a_missing_key_is_reported_at_its_object() {
        let source = b"[\n {},\n {\"x\": 1}]";
        let missing = JsonPath(vec![1.into(), "y".into()]);
        assert_eq!(locate(source, &missing), Position { line: 3, column: 2 });
    }

    #[test]
    fn the_last_of_two_equal_keys_counts_as_it_does_for_the_parser() {
        let source = b"{\"a\": 1,\n\"a\": 2}";
        assert_eq!(
            locate(source, &JsonPath(vec!["a".into()])),
            Position { line: 2, column: 6 }
        );
    }

    #[test]
    fn paths_read_like_javascript() {
        let path = JsonPath::default()
            .join("capabilities")
            .join(0)
            .join("gateways")
            .join(2)
            .join("id");
        assert_eq!(path.to_string(), "capabilities[0].gateways[2].id");
    }

    #[test]
    fn keys_that_come_twice_in_one_object_are_found_at_any_depth() {
        let source =
            br#"{"a": [{"b": 1, "c": {}, "b": 2}, {"b": 3}], "d": {"a": {}}, "a": 1, "a": 2}"#;
        let found: Vec<String> = duplicate_keys(source)
            .iter()
            .map(JsonPath::to_string)
            .collect();
        assert_eq!(found, ["a[0].b", "a"]);
        assert_eq!(duplicate_keys(br#" [[], {}, {"x": [ ]}, "{", 1] "#), []);
    }

    proptest! {
        #[test]
        fn valid_json_is_walked_to_its_end(json in crate::gateway::tests::any_json()) {
            let text = serde_json::to_vec_pretty(&json).unwrap();
            let mut scanner = Scanner::new(&text);
            scanner.find_duplicates(&JsonPath::default(), &mut Vec::new());
            prop_assert_eq!(scanner.at, text.len());
        }

        #[test]
        fn never_panics(source: Vec<u8>, keys: Vec<String>, index in 0..9_usize) {
            let mut path = JsonPath::default().join(index);
            for key in &keys {
                path = path.join(key.as_str()).join(index);
            }
            let _ = locate(&source, &path);
        }
    }
}
