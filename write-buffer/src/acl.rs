//! Ids inside the values of extended attributes.

use std::ffi::CStr;

use crate::mapping::Mapping;

/// Tags of the entries that carry an id (acl(5), linux/posix_acl_xattr.h).
const ACL_USER: u16 = 0x02;
const ACL_GROUP: u16 = 0x08;
/// Size of the version number in front of an access control list, and of one entry.
const ACL_HEADER: usize = 4;
const ACL_ENTRY: usize = 8;
/// File capabilities that hold in one user namespace: revision in the top byte, and total size with
/// the owner's id at the end (linux/capability.h).
const CAPABILITY_REVISION_3: u8 = 3;
const CAPABILITY_SIZE_3: usize = 24;

/// Maps the ids in the value of attribute `name` to what belongs on disk.
pub fn map_ids(name: &CStr, value: &mut [u8], mapping: Mapping) {
    map(name, value, &|id| mapping.on_disk(id));
}

/// The other direction: from disk to what the container must see.
pub fn map_ids_into_buffer(name: &CStr, value: &mut [u8], mapping: Mapping) {
    map(name, value, &|id| mapping.in_buffer(id));
}

fn map(name: &CStr, value: &mut [u8], id: &dyn Fn(u32) -> u32) {
    match name.to_bytes() {
        b"system.posix_acl_access" | b"system.posix_acl_default" => map_acl(value, id),
        b"security.capability" => map_capability(value, id),
        _ => {}
    }
}

fn map_acl(value: &mut [u8], id: &dyn Fn(u32) -> u32) {
    let Some((_version, entries)) = value.split_at_mut_checked(ACL_HEADER) else {
        return;
    };
    for entry in entries.chunks_exact_mut(ACL_ENTRY) {
        let tag = u16::from_le_bytes([entry[0], entry[1]]);
        if matches!(tag, ACL_USER | ACL_GROUP) {
            map_u32(&mut entry[4..], id);
        }
    }
}

fn map_capability(value: &mut [u8], id: &dyn Fn(u32) -> u32) {
    if value.len() == CAPABILITY_SIZE_3 && value[3] == CAPABILITY_REVISION_3 {
        map_u32(&mut value[CAPABILITY_SIZE_3 - 4..], id);
    }
}

fn map_u32(bytes: &mut [u8], id: &dyn Fn(u32) -> u32) {
    if let Ok(old) = <[u8; 4]>::try_from(&*bytes) {
        bytes.copy_from_slice(&id(u32::from_le_bytes(old)).to_le_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::{map_ids, map_ids_into_buffer};
    use crate::mapping::Mapping;

    const MAPPING: Mapping = Mapping::IDENTITY;

    fn entry(tag: u16, permissions: u16, id: u32) -> Vec<u8> {
        let mut bytes = tag.to_le_bytes().to_vec();
        bytes.extend(permissions.to_le_bytes());
        bytes.extend(id.to_le_bytes());
        bytes
    }

    fn acl(user: u32, group: u32) -> Vec<u8> {
        let mut bytes = 2u32.to_le_bytes().to_vec();
        bytes.extend(entry(0x01, 6, u32::MAX));
        bytes.extend(entry(0x02, 4, user));
        bytes.extend(entry(0x04, 4, u32::MAX));
        bytes.extend(entry(0x08, 4, group));
        bytes.extend(entry(0x10, 4, u32::MAX));
        bytes.extend(entry(0x20, 0, u32::MAX));
        bytes
    }

    #[test]
    fn named_users_and_groups_of_an_acl_are_mapped_and_nothing_else() {
        let mapping = Mapping::shift(524_288, 65_536);
        let mut value = acl(524_288 + 1000, 524_288 + 44);
        map_ids(c"system.posix_acl_access", &mut value, mapping);
        assert_eq!(value, acl(1000, 44));
        map_ids_into_buffer(c"system.posix_acl_access", &mut value, mapping);
        assert_eq!(value, acl(524_288 + 1000, 524_288 + 44));
    }

    #[test]
    fn owner_of_namespaced_file_capabilities_is_mapped() {
        let mut value = [0u8; 24];
        value[3] = 3;
        value[20..].copy_from_slice(&524_288u32.to_le_bytes());
        map_ids(
            c"security.capability",
            &mut value,
            Mapping::shift(524_288, 65_536),
        );
        assert_eq!(value[20..], [0; 4]);
    }

    #[test]
    fn short_or_odd_values_are_left_alone() {
        for length in 0..40 {
            let mut value = vec![2u8; length];
            map_ids(c"system.posix_acl_access", &mut value, MAPPING);
            map_ids(c"security.capability", &mut value, MAPPING);
            assert_eq!(value, vec![2u8; length]);
        }
    }
}
