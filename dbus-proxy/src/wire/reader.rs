//! Bounded reading of marshalled values.

use super::WireError;

/// Byte order of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Endian {
    /// `l`
    Little,
    /// `B`
    Big,
}

impl Endian {
    /// The order that the first byte of a message names.
    ///
    /// # Errors
    /// [`WireError::Endian`] for any byte but `l` and `B`.
    pub fn from_mark(mark: u8) -> Result<Self, WireError> {
        match mark {
            b'l' => Ok(Self::Little),
            b'B' => Ok(Self::Big),
            other => Err(WireError::Endian(other)),
        }
    }

    /// The first byte of a message in this order.
    #[must_use]
    pub fn mark(self) -> u8 {
        match self {
            Self::Little => b'l',
            Self::Big => b'B',
        }
    }

    /// Bytes to a number.
    #[must_use]
    pub fn u32(self, bytes: [u8; 4]) -> u32 {
        match self {
            Self::Little => u32::from_le_bytes(bytes),
            Self::Big => u32::from_be_bytes(bytes),
        }
    }

    /// A number to bytes.
    #[must_use]
    pub fn bytes(self, value: u32) -> [u8; 4] {
        match self {
            Self::Little => value.to_le_bytes(),
            Self::Big => value.to_be_bytes(),
        }
    }
}

/// Reads values from `data`, whose first byte counts as position 0 for alignment.
#[derive(Clone, Debug)]
pub struct Reader<'a> {
    data: &'a [u8],
    position: usize,
    endian: Endian,
}

impl<'a> Reader<'a> {
    /// A reader of the whole of `data` that starts at `position`.
    #[must_use]
    pub fn new(data: &'a [u8], position: usize, endian: Endian) -> Self {
        Self {
            data,
            position,
            endian,
        }
    }

    /// Where the next value is looked for.
    #[must_use]
    pub fn position(&self) -> usize {
        self.position
    }

    /// Whether nothing is left.
    #[must_use]
    pub fn at_end(&self) -> bool {
        self.position >= self.data.len()
    }

    pub(super) fn take(&mut self, count: usize) -> Result<&'a [u8], WireError> {
        let end = self.position.checked_add(count);
        let bytes = end.and_then(|end| self.data.get(self.position..end));
        let bytes = bytes.ok_or(WireError::Truncated)?;
        self.position += count;
        Ok(bytes)
    }

    /// Skips the padding up to a multiple of `alignment`, which must be zero.
    pub(super) fn align(&mut self, alignment: usize) -> Result<(), WireError> {
        let padding = self.position.next_multiple_of(alignment) - self.position;
        if self.take(padding)?.iter().any(|&byte| byte != 0) {
            return Err(WireError::Padding);
        }
        Ok(())
    }

    pub(super) fn u8(&mut self) -> Result<u8, WireError> {
        self.take(1)?.first().copied().ok_or(WireError::Truncated)
    }

    pub(super) fn u32(&mut self) -> Result<u32, WireError> {
        self.align(4)?;
        let bytes = self.take(4)?;
        let bytes = bytes.try_into().map_err(|_| WireError::Truncated)?;
        Ok(self.endian.u32(bytes))
    }

    pub(super) fn length(&mut self) -> Result<usize, WireError> {
        usize::try_from(self.u32()?).map_err(|_| WireError::TooLong)
    }

    fn text(&mut self, length: usize) -> Result<&'a str, WireError> {
        let bytes = self.take(length)?;
        if self.u8()? != 0 || bytes.contains(&0) {
            return Err(WireError::String);
        }
        std::str::from_utf8(bytes).map_err(|_| WireError::String)
    }

    /// A value of type `s` or `o`.
    ///
    /// # Errors
    /// [`WireError`] when there is no such value at this place.
    pub fn string(&mut self) -> Result<&'a str, WireError> {
        let length = self.length()?;
        self.text(length)
    }

    /// A value of type `as`.
    ///
    /// # Errors
    /// [`WireError`] when there is no such value at this place.
    pub fn strings(&mut self) -> Result<Vec<&'a str>, WireError> {
        let length = self.length()?;
        let end = self.position.checked_add(length);
        let end = end.filter(|&end| end <= self.data.len());
        let end = end.ok_or(WireError::Truncated)?;
        let mut strings = Vec::new();
        while self.position < end {
            strings.push(self.string()?);
        }
        if self.position > end {
            return Err(WireError::Truncated);
        }
        Ok(strings)
    }

    /// A value of type `g`; its contents are checked by who uses it.
    pub(super) fn signature(&mut self) -> Result<&'a str, WireError> {
        let length = self.u8()?;
        self.text(usize::from(length))
    }
}
