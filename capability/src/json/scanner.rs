//! A walk over the text of JSON, for what a parser's result no longer tells.

use super::path::JsonPath;
use std::collections::BTreeSet;

/// Walks over JSON text that a real parser has already accepted; hence it only counts brackets and
/// quotes.
pub(super) struct Scanner<'a> {
    source: &'a [u8],
    /// Offset of the next byte.
    pub at: usize,
}

impl<'a> Scanner<'a> {
    /// Starts at the first value of `source`.
    pub fn new(source: &'a [u8]) -> Self {
        let mut scanner = Self { source, at: 0 };
        scanner.skip_space();
        scanner
    }

    fn peek(&self) -> Option<u8> {
        self.source.get(self.at).copied()
    }

    fn skip_space(&mut self) {
        while self.peek().is_some_and(|b| b.is_ascii_whitespace()) {
            self.at += 1;
        }
    }

    fn eat(&mut self, byte: u8) -> bool {
        self.skip_space();
        let there = self.peek() == Some(byte);
        if there {
            self.at += 1;
        }
        there
    }

    /// Where the value of the last member `key` of the object here starts (the last, as the parser
    /// lets that one win).
    pub fn enter_member(&mut self, key: &str) -> Option<usize> {
        if !self.eat(b'{') {
            return None;
        }
        let mut found = None;
        loop {
            let Some(name) = self.member_name() else {
                return found;
            };
            if name == key {
                found = Some(self.at);
            }
            self.skip_value();
            if !self.eat(b',') {
                return found;
            }
        }
    }

    pub fn enter_element(&mut self, index: usize) -> Option<usize> {
        if !self.eat(b'[') {
            return None;
        }
        self.skip_space();
        if self.peek() == Some(b']') {
            return None;
        }
        for _ in 0..index {
            self.skip_value();
            if !self.eat(b',') {
                return None;
            }
            self.skip_space();
        }
        Some(self.at)
    }

    /// Walks over the value here, and adds the path of every key that is in its object for the
    /// second time.
    pub fn find_duplicates(&mut self, path: &JsonPath, duplicates: &mut Vec<JsonPath>) {
        if self.eat(b'{') {
            let mut seen = BTreeSet::new();
            while let Some(name) = self.member_name() {
                let inner = path.join(name.as_str());
                self.find_duplicates(&inner, duplicates);
                if !seen.insert(name) && !duplicates.contains(&inner) {
                    duplicates.push(inner);
                }
                if !self.eat(b',') {
                    break;
                }
            }
            self.eat(b'}');
        } else if self.eat(b'[') {
            self.skip_space();
            let mut index = 0;
            while self.peek().is_some_and(|b| b != b']') {
                self.find_duplicates(&path.join(index), duplicates);
                index += 1;
                if !self.eat(b',') {
                    break;
                }
                self.skip_space();
            }
            self.eat(b']');
        } else {
            self.skip_value();
        }
    }

    /// Reads the name of a member and the colon after it, and stops at its value.
    fn member_name(&mut self) -> Option<String> {
        self.skip_space();
        let start = self.at;
        if self.peek() != Some(b'"') {
            return None;
        }
        self.skip_string();
        let name = serde_json::from_slice(self.source.get(start..self.at)?).ok()?;
        if !self.eat(b':') {
            return None;
        }
        self.skip_space();
        Some(name)
    }

    fn skip_string(&mut self) {
        self.at += 1;
        while let Some(byte) = self.peek() {
            self.at += 1;
            match byte {
                b'\\' => self.at += 1,
                b'"' => return,
                _ => {}
            }
        }
    }

    fn skip_value(&mut self) {
        let mut depth = 0_usize;
        while let Some(byte) = self.peek() {
            match byte {
                b'"' => {
                    self.skip_string();
                    continue;
                }
                b'{' | b'[' => depth += 1,
                b'}' | b']' | b',' if depth == 0 => return,
                b'}' | b']' => depth -= 1,
                _ => {}
            }
            self.at += 1;
        }
    }
}
