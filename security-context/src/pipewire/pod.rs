//! The values that messages consist of (Simple Plugin API's "plain old data", `spa/pod/pod.h`):
//! size and type, each of 32 bits, then the content, padded to a multiple of eight bytes. Numbers
//! are in the machine's byte order.

const INT: u32 = 4;
const STRING: u32 = 8;
const STRUCT: u32 = 14;
const FD: u32 = 18;
const ALIGNMENT: usize = 8;

/// A struct in the making.
#[derive(Debug, Default)]
pub(super) struct Fields(Vec<u8>);

impl Fields {
    pub(super) fn int(self, value: i32) -> Self {
        self.value(INT, &value.to_ne_bytes())
    }

    /// A descriptor, by its place among those that come with the message.
    pub(super) fn descriptor(self, index: i64) -> Self {
        self.value(FD, &index.to_ne_bytes())
    }

    pub(super) fn string(self, text: &str) -> Self {
        let mut bytes = text.as_bytes().to_vec();
        bytes.push(0);
        self.value(STRING, &bytes)
    }

    /// Properties.
    pub(super) fn dictionary(self, items: &[(&str, &str)]) -> Self {
        let count = i32::try_from(items.len()).unwrap_or(i32::MAX);
        let mut fields = Self::default().int(count);
        for (key, value) in items {
            fields = fields.string(key).string(value);
        }
        self.value(STRUCT, &fields.0)
    }

    /// The bytes of the whole struct.
    pub(super) fn finish(self) -> Vec<u8> {
        Self::default().value(STRUCT, &self.0).0
    }

    fn value(mut self, kind: u32, content: &[u8]) -> Self {
        let size = u32::try_from(content.len()).unwrap_or(u32::MAX);
        self.0.extend(size.to_ne_bytes());
        self.0.extend(kind.to_ne_bytes());
        self.0.extend(content);
        let padded = self.0.len().next_multiple_of(ALIGNMENT);
        self.0.resize(padded, 0);
        self
    }
}

/// The fields of a struct, read one after the other.
#[derive(Debug)]
pub(super) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    /// Of the struct that a message begins with.
    pub(super) fn of_message(message: &'a [u8]) -> Option<Self> {
        Reader(message).structure()
    }

    pub(super) fn int(&mut self) -> Option<i32> {
        let content = self.value(INT)?;
        Some(i32::from_ne_bytes(content.try_into().ok()?))
    }

    pub(super) fn string(&mut self) -> Option<&'a str> {
        let content = self.value(STRING)?;
        str::from_utf8(content.strip_suffix(&[0])?).ok()
    }

    pub(super) fn structure(&mut self) -> Option<Self> {
        self.value(STRUCT).map(Reader)
    }

    /// What a dictionary that comes next has under a key.
    pub(super) fn entry(&mut self, wanted: &str) -> Option<&'a str> {
        let mut items = self.structure()?;
        for _ in 0..items.int()? {
            let (key, value) = (items.string()?, items.string()?);
            if key == wanted {
                return Some(value);
            }
        }
        None
    }

    fn value(&mut self, wanted: u32) -> Option<&'a [u8]> {
        let (size, rest) = self.0.split_first_chunk()?;
        let (kind, rest) = rest.split_first_chunk()?;
        let size = usize::try_from(u32::from_ne_bytes(*size)).ok()?;
        let content = rest.get(..size)?;
        // The last one may lack its padding.
        self.0 = rest
            .get(size.next_multiple_of(ALIGNMENT)..)
            .unwrap_or_default();
        (u32::from_ne_bytes(*kind) == wanted).then_some(content)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn values_are_laid_out_as_the_specification_has_them() {
        let bytes = Fields::default().int(7).string("abc").finish();
        let words: Vec<u32> = bytes
            .chunks(4)
            .map(|word| u32::from_ne_bytes(word.try_into().unwrap()))
            .collect();
        let abc = u32::from_ne_bytes(*b"abc\0");
        assert_eq!(words, [32, STRUCT, 4, INT, 7, 0, 4, STRING, abc, 0]);
    }

    #[test]
    fn what_is_written_is_read() {
        let items = [("one", "1"), ("three", "3")];
        let bytes = Fields::default()
            .int(-3)
            .dictionary(&items)
            .dictionary(&items)
            .string("end")
            .finish();
        let mut reader = Reader::of_message(&bytes).unwrap();
        assert_eq!(reader.int(), Some(-3));
        assert_eq!(reader.entry("three"), Some("3"));
        assert_eq!(reader.entry("two"), None);
        assert_eq!(reader.string(), Some("end"));
        assert_eq!(reader.int(), None);
    }

    #[test]
    fn what_is_cut_off_or_of_another_type_is_no_value() {
        let bytes = Fields::default().int(1).string("text").finish();
        for length in 0..bytes.len() {
            if let Some(mut reader) = Reader::of_message(bytes.get(..length).unwrap()) {
                let _ = (reader.string(), reader.int(), reader.structure().is_none());
            }
        }
        assert_eq!(Reader::of_message(&bytes).unwrap().string(), None);
        let huge = [u32::MAX.to_ne_bytes(), STRUCT.to_ne_bytes()].concat();
        assert!(Reader::of_message(&huge).is_none());
    }
}
