//! Access control lists (acl(5)) as the values of extended attributes have them
//! (linux/posix_acl_xattr.h): a version, then entries of tag, permissions and ID, ordered by tag.

/// The attribute of a file's access control list.
pub const ACCESS: &str = "system.posix_acl_access";
/// The attribute of the list that a directory's new files get.
pub const DEFAULT: &str = "system.posix_acl_default";
/// The ID of entries that have none.
pub const NO_ID: u32 = u32::MAX;
const VERSION: u32 = 2;
const HEADER: usize = 4;
const ENTRY: usize = 8;

/// Whom an entry is about.
pub mod tag {
    /// The file's owner.
    pub const OWNER: u16 = 0x01;
    /// A user.
    pub const USER: u16 = 0x02;
    /// The file's group.
    pub const OWNING_GROUP: u16 = 0x04;
    /// A group.
    pub const GROUP: u16 = 0x08;
    /// The most that users and groups may do.
    pub const MASK: u16 = 0x10;
    /// Everybody else.
    pub const OTHERS: u16 = 0x20;
}

/// An entry of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    /// One of [`tag`].
    pub tag: u16,
    /// The sum of read (4), write (2) and execute (1).
    pub permissions: u16,
    /// The ID of a user or group, else [`NO_ID`].
    pub id: u32,
}

impl Entry {
    /// Whether it names a user or a group.
    #[must_use]
    pub fn has_id(&self) -> bool {
        matches!(self.tag, tag::USER | tag::GROUP)
    }
}

/// The entries in the value of an attribute; `None` if it is no list that we know.
#[must_use]
pub fn decode(value: &[u8]) -> Option<Vec<Entry>> {
    let (version, entries) = value.split_at_checked(HEADER)?;
    if version != VERSION.to_le_bytes() || !entries.len().is_multiple_of(ENTRY) {
        return None;
    }
    let entries = entries.chunks_exact(ENTRY).map(|entry| Entry {
        tag: u16::from_le_bytes([entry[0], entry[1]]),
        permissions: u16::from_le_bytes([entry[2], entry[3]]),
        id: u32::from_le_bytes([entry[4], entry[5], entry[6], entry[7]]),
    });
    Some(entries.collect())
}

/// The value of an attribute that holds these entries.
#[must_use]
pub fn encode(entries: &[Entry]) -> Vec<u8> {
    let mut value = VERSION.to_le_bytes().to_vec();
    for entry in entries {
        value.extend(entry.tag.to_le_bytes());
        value.extend(entry.permissions.to_le_bytes());
        value.extend(entry.id.to_le_bytes());
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_list_survives_its_value(entries in prop::collection::vec(
            (any::<u16>(), any::<u16>(), any::<u32>())
                .prop_map(|(tag, permissions, id)| Entry { tag, permissions, id }), 0..9))
        {
            prop_assert_eq!(decode(&encode(&entries)), Some(entries));
        }

        #[test]
        fn what_is_no_list_is_refused_and_nothing_else_is_lost(value: Vec<u8>) {
            if let Some(entries) = decode(&value) {
                prop_assert_eq!(encode(&entries), value);
            }
        }
    }
}
