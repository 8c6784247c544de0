//! Lines from a stream of bytes.

/// Collects bytes and hands out lines.
#[derive(Debug)]
pub struct Lines {
    bytes: Vec<u8>,
    used: usize,
    limit: usize,
}

/// A line that cannot be one of the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LineError {
    /// It is too long; the stream is useless then.
    #[error("a line of the control protocol is too long")]
    Long,
    /// It is not UTF-8; the next one may be.
    #[error("a line of the control protocol is not text")]
    NoText,
}

impl Lines {
    /// `limit`: bytes that may wait for the end of their line.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        Self {
            bytes: Vec::new(),
            used: 0,
            limit,
        }
    }

    /// Adds bytes.
    pub fn feed(&mut self, bytes: &[u8]) {
        self.bytes.drain(..self.used);
        self.used = 0;
        self.bytes.extend_from_slice(bytes);
    }

    /// The next line without its end.
    ///
    /// # Errors
    /// [`LineError`].
    pub fn next_line(&mut self) -> Result<Option<&str>, LineError> {
        let start = self.used;
        let rest = self.bytes.get(start..).unwrap_or_default();
        let Some(length) = rest.iter().position(|&byte| byte == b'\n') else {
            if rest.len() > self.limit {
                return Err(LineError::Long);
            }
            if rest.is_empty() {
                // Rules come seldom; what they have taken is given back.
                self.bytes = Vec::new();
                self.used = 0;
            }
            return Ok(None);
        };
        self.used += length + 1;
        let line = self.bytes.get(start..start + length).unwrap_or_default();
        let text = std::str::from_utf8(line).map(Some);
        text.map_err(|_| LineError::NoText)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_put_together_from_pieces() {
        let mut lines = Lines::new(10);
        lines.feed(b"on");
        assert_eq!(lines.next_line(), Ok(None));
        lines.feed(b"e\ntwo\n");
        assert_eq!(lines.next_line(), Ok(Some("one")));
        assert_eq!(lines.next_line(), Ok(Some("two")));
        assert_eq!(lines.next_line(), Ok(None));
        lines.feed(b"\xc3\nthree\n");
        assert_eq!(lines.next_line(), Err(LineError::NoText));
        assert_eq!(lines.next_line(), Ok(Some("three")));
        lines.feed(b"12345678901");
        assert_eq!(lines.next_line(), Err(LineError::Long));
    }
}
