//! Classes of network packets, as tc(8) and `net_cls.classid` have them.

use std::fmt;

/// A class: the major number is that of a queueing discipline, the minor number that of a class in
/// it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct ClassId(u32);

impl ClassId {
    /// Reads `0xAAAABBBB`: four hexadecimal digits of the minor number after one to four of the
    /// major number.
    ///
    /// # Errors
    /// What is wrong with it, as the end of a sentence.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let digits = text
            .strip_prefix("0x")
            .filter(|digits| (5..=8).contains(&digits.len()));
        digits
            .filter(|digits| digits.bytes().all(|b| b.is_ascii_hexdigit()))
            .and_then(|digits| u32::from_str_radix(digits, 16).ok())
            .map(Self)
            .ok_or("is not of the form 0xAAAABBBB, with five to eight hexadecimal digits")
    }

    /// The number that `net_cls.classid` takes.
    #[must_use]
    pub fn number(self) -> u32 {
        self.0
    }
}

/// `major:minor` in hexadecimal, as tc(8) and iptables' CLASSIFY write it.
impl fmt::Display for ClassId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:x}:{:x}", self.0 >> 16, self.0 & 0xffff)
    }
}
